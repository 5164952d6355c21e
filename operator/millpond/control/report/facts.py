"""What the conditions of an app say: each a fact with its reason. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from millpond.api.kinds.elasticapp import ElasticAppSpec
from millpond.clock import rfc3339
from millpond.control.observe.objects import RetireIntent
from millpond.control.observe.troubles import limiting, worst
from millpond.control.report.counts import count
from millpond.control.resolve.candidates import Candidate, ValidApp
from millpond.control.resolve.record import Record
from millpond.control.snapshot.apps import is_paused, paused_until_s
from millpond.kube.raw import of_kind
from millpond_policies.reasons import Reason
from millpond_policies.size.scaling import clamp
from millpond_policies.world.actions import Steer, Verdict
from millpond_policies.world.model import App, Freshness, Goal, GoalKind, Mode, ServerState
from millpond_policies.world.release import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One condition as it should read; ``holds`` None is Unknown."""

    type: str
    holds: bool | None
    reason: Reason
    message: str


def goal_text(goal: Goal) -> str:
    """average ≤ 300 ms; p95 ≤ 500 ms; none"""
    if goal.kind is GoalKind.DISCRETIONARY or goal.target_ms is None:
        return "none"
    name = "average" if goal.kind is GoalKind.AVERAGE else f"p{goal.percentile:g}"
    return f"{name} ≤ {goal.target_ms:g} ms"


def facts(
    record: Record,
    view: App | None,
    before: Iterable[Mapping[str, Any]],
    verdicts: Sequence[Verdict],
    now_s: float,
    trouble: str | None,
) -> Iterable[Fact]:
    app, problem = record.app, record.problem
    yield _contested(app)
    yield _paused(app, now_s)
    if problem is not None:
        yield Fact(type="Ready", holds=False, reason=problem.reason, message=problem.message)
    elif view is not None:
        yield _ready(view, record)
    if isinstance(app, ValidApp):
        yield from _replicas_ignored(app, before)
    if view is None:
        return
    yield _draining(view, record)
    yield _rolling_out(replace(view, progress=_newest(view, verdicts)), record)
    yield _limited(view, record, verdicts)
    yield from _metrics(app, view, of_kind(before), now_s, trouble)


def _newest(view: App, verdicts: Iterable[Verdict]) -> Progress | None:
    """Of this cycle's verdicts, which were carried out already, or as it was."""
    told = [v.to for v in verdicts if isinstance(v, Steer)]
    return told[-1] if told else view.progress


def _rolling_out(view: App, record: Record) -> Fact:
    last, going = view.progress, view.rolls_out
    if last is None:
        reason = Reason.NEW_EDITION if going else Reason.AS_EXPECTED
        return Fact(type="RollingOut", holds=going, reason=reason, message="")
    text = f"{last.origin} -> {last.edition}: {last.message}"
    stuck = record.troubles.get(last.edition) if going else None
    if stuck is not None and stuck.message not in text:
        text = f"{text}; {stuck.message}"
    return Fact(type="RollingOut", holds=going, reason=last.reason, message=text)


def _contested(app: Candidate) -> Fact:
    """The other hosts and paths of the app go on."""
    if not app.contested:
        return Fact(type="Contested", holds=False, reason=Reason.AS_EXPECTED, message="every host is its own")
    places: dict[str, list[str]] = {}
    for contest in app.contested:
        places.setdefault(contest.why, []).append(f"{contest.field}: {contest.claim}")
    text = "; ".join(f"{', '.join(where)}: {why}" for why, where in places.items())
    return Fact(type="Contested", holds=True, reason=app.contested[0].reason, message=text)


def _paused(app: Candidate, now_s: float) -> Fact:
    until_s = paused_until_s(app)
    if until_s is None:
        return Fact(type="Paused", holds=False, reason=Reason.NOT_PAUSED, message="")
    if not is_paused(app, now_s):
        text = f"the pause ended at {rfc3339(until_s)}"
        return Fact(type="Paused", holds=False, reason=Reason.PAUSE_EXPIRED, message=text)
    pause = app.served.paused if app.served else None
    why = f": {pause.reason}" if pause and pause.reason else ""
    text = f"no server is started or ended until {rfc3339(until_s)}{why}"
    return Fact(type="Paused", holds=True, reason=Reason.PAUSED, message=text)


def _ready(view: App, record: Record) -> Fact:
    serving = count(view.servers, ServerState.SERVING)
    floor = clamp(view, view.manual_servers) if view.mode is Mode.MANUAL else view.min_servers
    if serving >= floor:
        text = f"at least {floor} of its servers get requests"
        return Fact(type="Ready", holds=True, reason=Reason.AS_EXPECTED, message=text)
    found = worst(record.troubles, record.sets, view.active)
    reason = Reason.SERVERS_STARTING if serving else Reason.NO_SERVER_READY
    if found is not None and found.reason is not None:
        reason = found.reason
    text = f"fewer than {floor} servers get requests" + (f"; {found.message}" if found else "")
    return Fact(type="Ready", holds=False, reason=reason, message=text)


def _draining(view: App, record: Record) -> Fact:
    """Names and deadlines, which stand still; what is in flight moves every second, and is no news."""
    intents = {p.uid: p.retire for p in record.pods}
    going = [s for s in view.servers if s.state is ServerState.DRAINING]
    if going:
        text = "; ".join(f"{s.name} finishes its requests{_until(intents.get(s.uid))}" for s in going)
        return Fact(type="Draining", holds=True, reason=Reason.RETIRING, message=text)
    return Fact(type="Draining", holds=False, reason=Reason.AS_EXPECTED, message="")


def _until(intent: RetireIntent | None) -> str:
    if intent is None:
        return ""
    streams = f", streams {rfc3339(intent.last_deadline_s)}"
    later = intent.last_deadline_s > intent.deadline_s
    return f" (until {rfc3339(intent.deadline_s)}{streams if later else ''})"


def _limited(view: App, record: Record, verdicts: Sequence[Verdict]) -> Fact:
    short = limiting(record.troubles, record.held, (view.active, view.edition))
    if short is not None and short.reason is not None:
        return Fact(type="Limited", holds=True, reason=short.reason, message=short.message)
    hard = {
        Reason.AT_CEILING: f"spec.servers.max is {view.max_servers}, and more would be needed",
        Reason.SLA_UNATTAINABLE: "more servers did not help: the limit lies behind them",
    }
    for verdict in verdicts:
        limit = verdict.because.limited_by
        for reason in (limit, verdict.because.reason):
            if reason in hard:
                return Fact(type="Limited", holds=True, reason=reason, message=hard[reason])
    return Fact(type="Limited", holds=False, reason=Reason.NOT_LIMITED, message="")


def _metrics(
    app: Candidate,
    view: App,
    before: Mapping[str, Mapping[str, Any]],
    now_s: float,
    trouble: str | None,
) -> Iterable[Fact]:
    edition = view.view(view.active)
    assert edition is not None
    known = {
        Freshness.FRESH: (True, Reason.AS_EXPECTED, "every router reports"),
        Freshness.STALE: (
            False,
            Reason.METRICS_STALE,
            "the newest response times are too old: no server is taken away",
        ),
        Freshness.PARTIAL: (
            False,
            Reason.METRICS_PARTIAL,
            "a router does not report: no server is taken away",
        ),
        Freshness.MISSING: (False, Reason.METRICS_MISSING, "no response times yet: no server is taken away"),
    }
    holds, reason, message = known[edition.freshness]
    if trouble is not None and not holds:
        message = f"{trouble}: no server is taken away"
    yield Fact(type="MetricsAvailable", holds=holds, reason=reason, message=message)
    yield _sla(app, view, edition.freshness, before.get("SLAMet"), now_s)


def _sla(
    app: Candidate, view: App, freshness: Freshness, before: Mapping[str, Any] | None, now_s: float
) -> Fact:
    goal, target_ms = view.goal, view.goal.target_ms
    if target_ms is None or not isinstance(app, ValidApp):
        return Fact(type="SLAMet", holds=None, reason=Reason.NO_GOAL, message="its policy states no goal")
    if freshness is not Freshness.FRESH:
        return Fact(
            type="SLAMet", holds=None, reason=Reason.METRICS_STALE, message="response times are unknown"
        )
    edition = view.view(view.active)
    assert edition is not None
    window_s = app.policy.violation_period_s
    response_ms = edition.memory.response_ms(goal, now_s, window_s)
    if response_ms is None:
        if before is not None and before.get("reason") in (Reason.GOAL_MET, Reason.NO_LOAD):
            return _as_before(before)  # silence after a met goal is no news
        return Fact(
            type="SLAMet", holds=None, reason=Reason.NO_LOAD, message="no request in the violation period"
        )
    if response_ms <= target_ms:
        return Fact(type="SLAMet", holds=True, reason=Reason.GOAL_MET, message=f"{goal_text(goal)} holds")
    text = f"{goal_text(goal)} does not hold over the last {window_s:g} s"
    return Fact(type="SLAMet", holds=False, reason=Reason.GOAL_EXCEEDED, message=text)


def _as_before(before: Mapping[str, Any]) -> Fact:
    holds = {"True": True, "False": False}.get(str(before.get("status")))
    return Fact(
        type="SLAMet", holds=holds, reason=Reason(before["reason"]), message=str(before.get("message", ""))
    )


def _replicas_ignored(app: ValidApp, before: Iterable[Mapping[str, Any]]) -> Iterable[Fact]:
    """What `kubectl scale` asks for in vain; an app that never did so has no such condition."""
    found = _unheard(app.spec)
    if found is not None:
        yield Fact(type="ReplicasIgnored", holds=True, reason=found[0], message=found[1])
    elif "ReplicasIgnored" in of_kind(before):
        yield Fact(type="ReplicasIgnored", holds=False, reason=Reason.AS_EXPECTED, message="")


def _unheard(spec: ElasticAppSpec) -> tuple[Reason, str] | None:
    asked, given = spec.replicas, spec.floor
    if spec.mode is not Mode.MANUAL:
        text = f"spec.replicas {asked} is used only in mode Manual; spec.servers.min and max set the limits"
        return (Reason.REPLICAS_IGNORED, text) if asked != 1 else None
    if asked > given:
        text = f"spec.replicas asks for {asked} servers and gets {given}, which is spec.servers.max: raise that, or"
        return Reason.AT_CEILING, f"{text} lower spec.replicas"
    if asked < given:
        text = f"spec.replicas asks for {asked} servers and gets {given}, which is spec.servers.min: lower that, or"
        return Reason.AT_FLOOR, f"{text} raise spec.replicas"
    return None
