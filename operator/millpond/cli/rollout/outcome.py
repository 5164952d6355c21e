"""How a rollout stands, as one value with one exit code. Pure: from an ElasticApp as the API server returns it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

from millpond.control.report.conditions import condition
from millpond.kube.client import Object
from millpond_policies.reasons import Reason
from millpond_policies.world.release import Needs, Phase

# The operator does nothing more about an app with one of these; only another spec helps.
_REFUSALS = frozenset(
    {Reason.INVALID_SPEC, Reason.INVALID_TEMPLATE, Reason.EDITION_CONFLICT, Reason.POOL_SELECTOR_CONFLICT}
)
_NEVER = "9999"  # the year in which windows open that never open
_FINAL = frozenset(phase for phase in Phase if phase.final)


class Exit(IntEnum):
    DONE = 0
    FAILED = 1  # or aborted, or rolled back
    PERSON = 3  # somebody has to act, or a change window has to open
    GOING_ON = 124  # as timeout(1) says it


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What `status` tells. Fields that only a fresh status can tell are None until there is one."""

    exit: Exit
    namespace: str
    app: str
    edition: str | None = None
    origin: str | None = None
    """The edition that serves, and goes on if this one fails."""
    strategy: str | None = None
    phase: str | None = None
    step: int | None = None
    steps: int | None = None
    weight: int | None = None
    needs: str | None = None
    until: str | None = None
    step_at: str | None = None
    reason: str | None = None
    message: str = ""

    def as_json(self) -> Mapping[str, Any]:
        return {
            "namespace": self.namespace,
            "app": self.app,
            "edition": self.edition,
            "from": self.origin,
            "strategy": self.strategy,
            "phase": self.phase,
            "step": self.step,
            "steps": self.steps,
            "weight": self.weight,
            "needs": self.needs,
            "until": self.until,
            "reason": self.reason,
            "message": self.message,
            "exitCode": int(self.exit),
        }


def judge(app: Object, *, approved: bool = False) -> Outcome:
    """How the rollout of spec.edition stands, by a status that has seen this very spec; else it is going on.

    ``approved``: its Edition carries an approval, which the operator may not have seen yet.
    """
    meta, spec, status = app["metadata"], app["spec"], app.get("status") or {}
    wanted = str(spec["edition"])
    base = Outcome(exit=Exit.GOING_ON, namespace=meta["namespace"], app=meta["name"], edition=wanted)
    seen, generation = int(status.get("observedGeneration") or 0), int(meta["generation"])
    if "deletionTimestamp" in meta:
        return replace(base, exit=Exit.FAILED, reason="Deleted", message=f"{base.app} is being deleted")
    if seen < generation:
        text = (
            f"the operator has not seen this spec yet (generation {generation}; it has seen {seen or 'none'})"
        )
        return replace(base, reason="NotSeenYet", message=text)
    refusal = _condition(status, "Ready", generation)
    if refusal and refusal["status"] == "False" and refusal["reason"] in _REFUSALS:
        return replace(base, exit=Exit.FAILED, reason=refusal["reason"], message=refusal.get("message", ""))
    rollout = status.get("rollout") or {}
    if rollout.get("edition") == wanted:
        return _held_up(_of_rollout(base, rollout, status, approved), status, generation)
    return _held_up(_without_rollout(base, rollout, status, generation), status, generation)


def _of_rollout(
    base: Outcome, rollout: Mapping[str, Any], status: Mapping[str, Any], approved: bool
) -> Outcome:
    told = replace(
        base,
        origin=rollout.get("from") or None,
        strategy=rollout.get("strategy"),
        phase=rollout.get("phase"),
        step=rollout.get("step", 0),
        steps=rollout.get("steps", 0),
        weight=rollout.get("weight", 0),
        needs=rollout.get("needs") or None,
        until=rollout.get("until") or None,
        step_at=rollout.get("stepAt") or None,
        reason=rollout.get("reason"),
        message=_with_trouble(rollout, status),
    )
    if told.phase == Phase.WAITING and told.needs == Needs.APPROVE and approved:
        return replace(told, needs=None, message="it is approved; the operator has not seen that yet")
    return replace(told, exit=_exit(told, status))


def _with_trouble(rollout: Mapping[str, Any], status: Mapping[str, Any]) -> str:
    """What is recorded of it, and what keeps its servers from coming just now, which its condition says behind that."""
    message = str(rollout.get("message", ""))
    now = condition(status.get("conditions") or (), "RollingOut") or {}
    head, _, rest = str(now.get("message", "")).partition(f"{message}; ")
    about = f"{rollout.get('from')} -> {rollout.get('edition')}: "
    return f"{message}; {rest}" if message and rest and head == about else message


def _exit(told: Outcome, status: Mapping[str, Any]) -> Exit:
    match told.phase:
        case Phase.COMPLETED:
            return Exit.DONE if status.get("edition") == told.edition else Exit.GOING_ON
        case Phase.ROLLED_BACK | Phase.ABORTED:
            return Exit.FAILED
        case Phase.ROLLING_BACK:
            return Exit.GOING_ON
        case Phase.PAUSED:
            return Exit.PERSON
        case Phase.WAITING if told.until:
            return Exit.PERSON
    return Exit.PERSON if told.needs else Exit.GOING_ON


def _without_rollout(
    base: Outcome, rollout: Mapping[str, Any], status: Mapping[str, Any], generation: int
) -> Outcome:
    """Nothing is recorded about this edition: the first one of an app, one that serves already, or too early."""
    if status.get("edition") not in (None, "", base.edition):
        text = f"the operator has not begun with it; {status['edition']} serves"
        return replace(base, origin=status["edition"], message=text)
    if rollout and rollout.get("phase") not in _FINAL:
        text = f"{rollout['edition']} is being taken back: {rollout.get('message', '')}".rstrip(": ")
        return replace(base, phase=rollout["phase"], reason=rollout.get("reason"), message=text)
    ready = _condition(status, "Ready", generation)
    if ready is None or not status.get("edition"):
        return replace(base, message="its servers are not there yet")
    done = ready["status"] == "True"
    text = "it serves" if done else ready.get("message", "")
    return replace(base, exit=Exit.DONE if done else Exit.GOING_ON, reason=ready["reason"], message=text)


def _held_up(told: Outcome, status: Mapping[str, Any], generation: int) -> Outcome:
    """A paused app moves nothing until its pause ends or somebody ends it."""
    paused = _condition(status, "Paused", generation)
    if told.exit is not Exit.GOING_ON or not paused or paused["status"] != "True":
        return told
    text = f"the whole app is paused: {paused.get('message', '')}"
    return replace(told, exit=Exit.PERSON, reason=paused["reason"], message=text)


def _condition(status: Mapping[str, Any], kind: str, generation: int) -> Mapping[str, Any] | None:
    """A condition that was found for this very spec."""
    found = condition(status.get("conditions") or (), kind)
    return found if found and found.get("observedGeneration", 0) >= generation else None


def to_do(told: Outcome) -> str:
    """What would bring it on, as a command where there is one; empty when nobody has to do anything."""
    if told.exit is not Exit.PERSON:
        return ""
    where = f"{told.app} -n {told.namespace}"
    window = f"wait until {told.until}" if told.until else ""
    if told.until and told.until.startswith(_NEVER):
        window = "correct changeWindows: they never open"
    match told.needs:
        case Needs.PROMOTE:
            return f"millpond rollout promote {where}"
        case Needs.RESUME:
            return f"millpond rollout resume {where}"
        case Needs.APPROVE:
            return f"somebody else runs: millpond rollout approve {where} --reason …"
    if told.reason == Reason.PAUSED and told.phase != Phase.PAUSED:
        return "remove spec.paused, or wait until it ends"
    return window or (f"millpond rollout resume {where}" if told.phase == Phase.PAUSED else "")
