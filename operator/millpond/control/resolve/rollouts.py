"""Rollouts between API objects and policies: how one is to go, how far it is, and which edition serves."""

from collections.abc import Mapping
from functools import lru_cache
from itertools import islice
from typing import Any

from millpond.api.approval import declarer, granted
from millpond.clock import from_rfc3339, rfc3339
from millpond.control.observe.world import Holdings
from millpond.control.resolve import windows
from millpond.control.resolve.candidates import Candidate, ValidApp
from millpond.kube.raw import fields
from millpond_policies.reasons import Reason
from millpond_policies.rollouts.stages import count
from millpond_policies.world.release import Needs, Phase, Progress, Step, Way
from millpond_policies.world.strategy import Strategy

_NEVER_S = 253_402_300_799.0  # the end of the year 9999: for windows that never open (unknown time zone)
_NAMED = 3
Raw = Mapping[str, Any]


def way(app: ValidApp, holdings: Holdings, active: str | None, now_s: float) -> Way:
    """What spec says about rollouts, at this moment. ``active``: the edition that serves."""
    spec, rollout = app.spec, app.spec.rollout
    promoted = rollout.promote is not None and rollout.promote.edition == spec.edition
    settled = spec.edition == active  # nothing can be held up: windows need no look
    free = settled or bool(emergency(app, spec.edition))
    return Way(
        strategy=rollout.strategy,
        group=rollout.group_size,
        steps=tuple(
            Step(weight=step.percent, pause_s=step.pause_s, approval=step.approval)
            for step in rollout.planned_steps
        ),
        approval=rollout.approval,
        preview_servers=rollout.preview.servers if rollout.preview else 1,
        soak_s=rollout.soak_s,
        deadline_s=rollout.deadline_s,
        min_requests=rollout.analysis.min_requests,
        paused=rollout.paused,
        promoted=rollout.promote.step if promoted and rollout.promote else -1,
        aborted=rollout.abort == spec.edition,
        closed_until_s=None if free else closed_until_s(app, now_s),
        closed_because="" if free else "; ".join(_closed_because(app)),
        unapproved=rollout.major and not free and _unapproved(app, holdings.editions.get(spec.edition)),
    )


def emergency(app: ValidApp, edition: str) -> str:
    """Why this edition waits neither for change windows nor for approvals; empty: it waits.

    Older objects do not say which edition it is about: the one that it was recorded with.
    """
    rollout, recorded = app.spec.rollout, fields(app.status.get("rollout"))
    about = rollout.emergency_edition
    if about is None and recorded.get("emergency") == rollout.emergency:
        about = recorded.get("edition")
    return rollout.emergency.strip() if about == edition else ""


def _closed_because(app: ValidApp) -> list[str]:
    found = ["its change window is closed", *unknown_zones(app)]
    if app.spec.rollout.emergency:
        found.append(f"spec.rollout.emergencyEdition is not {app.spec.edition}")
    return found


def closed_until_s(app: ValidApp, now_s: float) -> float | None:
    """When the change windows of the app and of its pool will both be open; None: they are."""
    its, pools = (owner.change_windows or () for owner in (app.spec, app.pool))
    is_open, until_s = windows.opens(its, now_s, also=pools)
    return None if is_open else until_s or _NEVER_S


def unknown_zones(app: ValidApp) -> list[str]:
    """What is wrong with the time zones of the change windows of an app and its pool: admission cannot know.

    Three at most are named.
    """
    owners = ((app.spec, "spec"), (app.pool, f"DynamicPool {app.spec.pool}: spec"))
    found = (
        f"{where}.changeWindows[{n}].timeZone: {problem}"
        for owner, where in owners
        for n, window in enumerate(owner.change_windows or ())
        if (problem := windows.check_zone(window.time_zone))
    )
    return list(islice(found, _NAMED))


def _unapproved(app: ValidApp, edition: Raw | None) -> bool:
    return edition is None or granted(edition, app.raw) is None


def progress(app: Candidate) -> Progress | None:
    """The last rollout as status tells it; None when there was none, or when it cannot be read."""
    raw = app.status.get("rollout")
    try:
        return None if raw is None else _progress(tuple(raw.items()))
    except (KeyError, ValueError, TypeError, AttributeError, OverflowError):
        return None


@lru_cache(maxsize=10_000)
def _progress(items: tuple[tuple[str, Any], ...]) -> Progress:
    raw = dict(items)
    return Progress(
        edition=str(raw["edition"]),
        origin=str(raw["from"]),
        strategy=Strategy(raw["strategy"]),
        phase=Phase(raw["phase"]),
        step=_count(raw.get("step", 0), 1001),
        weight=_count(raw.get("weight", 0), 100),
        servers=_count(raw.get("servers", 0), 1000),
        started_s=from_rfc3339(raw["startedAt"]),
        step_s=from_rfc3339(raw["stepAt"]),
        reason=Reason(raw["reason"]),
        message=str(raw.get("message", "")),
        needs=Needs(raw["needs"]) if raw.get("needs") else None,
        until_s=from_rfc3339(raw["until"]) if raw.get("until") else None,
    )


def _count(number: Any, most: int) -> int:
    if not isinstance(number, int) or not 0 <= number <= most:
        raise ValueError(f"a count up to {most} is wanted")
    return number


def dump(found: Progress, how: Way, app: ValidApp | None = None) -> dict[str, Any]:
    """For a merge patch of status.rollout: what does not hold any more is null."""
    why = emergency(app, found.edition) if app else ""
    return {
        "edition": found.edition,
        "from": found.origin,
        "strategy": found.strategy.value,
        "phase": found.phase.value,
        "step": found.step,
        "steps": count(how, max(1, found.servers)),
        "weight": found.weight,
        "servers": found.servers,
        "startedAt": rfc3339(found.started_s),
        "stepAt": rfc3339(found.step_s),
        "until": rfc3339(found.until_s) if found.until_s is not None else None,
        "needs": found.needs.value if found.needs else None,
        "emergency": why or None,
        "emergencyBy": declarer(app.raw) if app and why else None,
        "reason": found.reason.value,
        "message": found.message,
    }


def active(app: Candidate, holdings: Holdings, last: Progress | None) -> str | None:
    """The edition that serves. The last rollout tells; before the first one, it is the one whose state says so."""
    if last is not None:
        serves = last.edition if last.phase is Phase.COMPLETED else last.origin
        if serves in holdings.editions:
            return serves
    states = {n: (raw.get("status") or {}).get("state") for n, raw in holdings.editions.items()}
    named = app.served.edition if app.served else None
    found = sorted(name for name, state in states.items() if state == "Active")
    if found:
        return named if named in found else found[0]
    others = sorted(n for n in holdings.editions if n != named and holdings.pods_of(n))
    return others[0] if others else named if named in holdings.editions else None


def states(app: Candidate, holdings: Holdings, serves: str | None, last: Progress | None) -> dict[str, str]:
    """Active: serves. Validating: comes, with its share in status.rollout. Draining: finishes. Retired: no servers."""
    coming = last.edition if last is not None and not last.phase.final else None

    def state(name: str) -> str:
        if name == serves:
            return "Active"
        if name == coming or (name == (app.spec.edition if app.spec else None) and _untried(name, last)):
            return "Validating"
        return "Draining" if holdings.pods_of(name) else "Retired"

    return {name: state(name) for name in holdings.editions}


def _untried(name: str, last: Progress | None) -> bool:
    return last is None or last.edition != name


def news(before: Progress | None, after: Progress) -> Reason | None:
    """What people should read in an event; None: nothing new for them."""
    if after.phase is Phase.COMPLETED:
        return None if after.reason is Reason.SERVES_ALREADY else Reason.ROLLOUT_COMPLETED
    if after.phase in (Phase.ROLLING_BACK, Phase.ROLLED_BACK, Phase.ABORTED):
        told = before is not None and before.phase is Phase.ROLLING_BACK and before.edition == after.edition
        return None if told else Reason.ROLLED_BACK
    if before is None or before.edition != after.edition or before.phase.final:
        return Reason.ROLLOUT_STARTED
    changed = (before.step, before.phase, before.needs) != (after.step, after.phase, after.needs)
    return Reason.ROLLOUT_STEPPED if changed else None
