"""How a new edition takes over: stage by stage, each only when the last one is done and its servers are there."""

from dataclasses import dataclass

from millpond_policies.reasons import Reason
from millpond_policies.rollouts import rollback
from millpond_policies.rollouts.analysis import Judgement
from millpond_policies.rollouts.case import Case
from millpond_policies.rollouts.stages import Stage
from millpond_policies.world.actions import Verdict
from millpond_policies.world.model import ServerState
from millpond_policies.world.release import Needs, Phase
from millpond_policies.world.strategy import Strategy

WATCHED_S = 30.0  # an operator that just started decides nothing by a clock that ran without it
CAUGHT_UP_S = 5.0  # nor by servers that it misses, before its watches can have told of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Why a stage is not done yet. ``patient``: no deadline applies."""

    reason: Reason
    message: str
    needs: Needs | None = None
    until_s: float | None = None
    patient: bool = False


def judge(case: Case) -> tuple[Verdict, ...]:
    """The first that applies: paused, not allowed to begin, found sick, the present stage, the next one."""
    way, phase = case.app.way, case.progress.phase
    if way.paused:
        text = "spec.rollout.paused is set: `millpond rollout resume` lets it go on"
        told = case.steer(Reason.ROLLOUT_PAUSED, text, phase=Phase.PAUSED, needs=Needs.RESUME)
        return (*told, *_servers(case, leaving=False))
    if phase is Phase.PAUSED:
        begun = case.progress.step or case.new.ordered
        onward = Phase.PROGRESSING if begun else Phase.WAITING
        return case.steer(Reason.ROLLOUT_RESUMED, "goes on", phase=onward, again=True)
    bar = _bar(case) if case.fresh or phase is Phase.WAITING else None
    if bar is not None:
        return _tell(case, bar, Phase.WAITING)
    if phase is Phase.WAITING:
        return case.steer(Reason.NEW_EDITION, "it may begin now", phase=Phase.PROGRESSING, again=True)
    sick = _sick(case)
    if sick and _alone(case):
        text = f"edition {case.new.name} is not taken back while no server of edition {case.old.name} serves"
        told = _tell(case, Wait(reason=sick[0].because.reason, message=text), Phase.PROGRESSING)
        return (*told, *_servers(case, leaving=False))
    return sick or _stage(case)


def _alone(case: Case) -> bool:
    """Whether the new edition serves and the old one does not, so that there is nothing to go back to."""
    seen = case.now_s >= case.app.watched_since_s + CAUGHT_UP_S
    return seen and not case.serving(case.old) and bool(case.serving(case.new))


def _bar(case: Case) -> Wait | None:
    """What an edition may have to wait for before its first server."""
    way = case.app.way
    if way.unapproved:
        text = f"edition {case.new.name} is a major one: an approver must run `millpond rollout approve`"
        return Wait(reason=Reason.WAITS_FOR_APPROVAL, message=text, needs=Needs.APPROVE)
    if way.closed_until_s is not None:
        text, until_s = way.closed_because, way.closed_until_s
        return Wait(reason=Reason.OUTSIDE_CHANGE_WINDOW, message=text, until_s=until_s)
    return None


def _sick(case: Case) -> tuple[Verdict, ...]:
    """A new edition that has requests, and is down, fails them or is too slow, is taken back."""
    if not case.progress.step:
        return ()
    if not case.serving(case.new):
        if case.now_s < case.app.watched_since_s + CAUGHT_UP_S:
            return ()
        text = f"no server of edition {case.new.name} serves any more{_stuck(case)}"
        return rollback.judge(case, Reason.EDITION_DOWN, text)
    finding = case.finding
    if finding.judgement is not Judgement.SICK:
        return ()
    seen = ", ".join(f"{name} {value}" for name, value in finding.inputs if value is not None)
    what = "fails too many requests" if finding.reason is Reason.EDITION_ERRORS else "is too slow"
    return rollback.judge(case, finding.reason, f"edition {case.new.name} {what}: {seen}", finding.inputs)


def _stage(case: Case) -> tuple[Verdict, ...]:
    wait = _awaited(case)
    if wait is None and case.next is None:
        text = f"edition {case.new.name} has taken over"
        return case.steer(Reason.TOOK_OVER, text, phase=Phase.COMPLETED, weight=100)
    servers = _servers(case, leaving=wait is None)
    wait = wait or _unready(case)
    if wait is None:
        assert case.next is not None
        return (*_enter(case, case.next), *servers)
    promoted = case.progress.needs is Needs.PROMOTE and wait.needs is None
    if not (wait.patient or promoted or _alone(case)) and _late(case):
        return _give_up(case, wait)
    validating = case.progress.step == 0 and case.app.way.approval
    phase = Phase.VALIDATING if validating else Phase.PROGRESSING
    return (*_tell(case, wait, phase, again=promoted), *servers)


def _enter(case: Case, stage: Stage) -> tuple[Verdict, ...]:
    step, name = case.step + 1, case.new.name
    share = f"{stage.weight} % of the new sessions" if stage.weight else "the requests with its header"
    text = f"step {step} of {len(case.stages)}: edition {name} gets {share}"
    return case.steer(Reason.NEXT_STEP, text, phase=Phase.PROGRESSING, step=step, weight=stage.weight)


def _tell(case: Case, wait: Wait, phase: Phase, *, again: bool = False) -> tuple[Verdict, ...]:
    return case.steer(
        wait.reason,
        wait.message,
        phase=phase,
        needs=wait.needs,
        until_s=wait.until_s,
        again=again,
    )


def _awaited(case: Case) -> Wait | None:
    """What keeps the present stage from being done. A promotion makes do without pause and analysis."""
    way, stage, step = case.app.way, case.current, case.step
    if stage is None:
        return _validating(case) if way.approval and way.promoted < 0 else None
    draining = case.app.servers_of(case.old.name, ServerState.DRAINING)
    if case.next is not None and stage.old < case.servers and (case.kept(case.old) > stage.old or draining):
        text = f"servers of edition {case.old.name} drain"
        return Wait(reason=Reason.OLD_SERVERS_LEAVE, message=text, patient=True)
    if way.promoted < step:
        held = _lasting(case, stage)
        if held is not None:
            return held
    if case.next is None and not case.trusted:
        return _ignorance(case)
    return None


def _lasting(case: Case, stage: Stage) -> Wait | None:
    if _alone(case) and _late(case) and not stage.approval:
        return None  # nothing to go back to, and patience is over: a moment without servers decides nothing
    if case.elapsed_s < stage.pause_s:
        until_s = case.progress.step_s + stage.pause_s
        text = f"the step lasts for {stage.pause_s:g} s"
        return Wait(reason=Reason.STEP_LASTS, message=text, until_s=until_s, patient=True)
    if stage.approval:
        text = "waits for `millpond rollout promote`"
        return Wait(reason=Reason.WAITS_FOR_PROMOTION, message=text, needs=Needs.PROMOTE, patient=True)
    if stage.judged and case.finding.judgement is Judgement.UNSURE:
        text = f"waits for {case.app.way.min_requests} requests on edition {case.new.name} to judge it by"
        return Wait(reason=Reason.NOT_ENOUGH_REQUESTS, message=text)
    return None


def _validating(case: Case) -> Wait:
    if case.serving(case.new) < _validators(case):
        return Wait(reason=Reason.SERVERS_WANTED, message=_wanted(case, _validators(case)))
    text = f"edition {case.new.name} can be looked at, and waits for `millpond rollout promote`"
    return Wait(reason=Reason.WAITS_FOR_PROMOTION, message=text, needs=Needs.PROMOTE, patient=True)


def _unready(case: Case) -> Wait | None:
    """What is missing for the next stage."""
    stage = case.next
    if stage is not None and case.serving(case.new) < stage.new:
        return Wait(reason=Reason.SERVERS_WANTED, message=_wanted(case, stage.new))
    return None if case.trusted else _ignorance(case)


def _ignorance(case: Case) -> Wait:
    text = "response times are unknown: nothing is promoted"
    return Wait(reason=Reason.METRICS_MISSING, message=text)


def _wanted(case: Case, servers: int) -> str:
    return f"waits for {servers} servers of edition {case.new.name}"


def _late(case: Case) -> bool:
    """On the wall clock; but not when nobody knows what happened meanwhile."""
    stage = case.current
    due_s = case.progress.step_s + (stage.pause_s if stage else 0.0) + case.app.way.deadline_s
    return case.now_s > max(due_s, case.app.watched_since_s + WATCHED_S) and not case.unknown


def _give_up(case: Case, wait: Wait) -> tuple[Verdict, ...]:
    inconclusive = wait.reason is Reason.NOT_ENOUGH_REQUESTS
    reason = Reason.INCONCLUSIVE if inconclusive else Reason.DEADLINE_EXCEEDED
    text = f"not done within {case.app.way.deadline_s:g} s: {wait.message}{_stuck(case)}"
    return rollback.judge(case, reason, text)


def _stuck(case: Case) -> str:
    return f" ({case.new.stuck})" if case.new.stuck else ""


def _validators(case: Case) -> int:
    full = case.app.way.strategy is Strategy.BLUE_GREEN
    return case.servers if full else min(case.app.way.preview_servers, case.servers)


def _servers(case: Case, *, leaving: bool) -> tuple[Verdict, ...]:
    """What both editions must have: the new one first grows, then the old one may go.

    What is more than that, because the app may have fewer servers now, goes as well: of the new edition first.
    """
    stage, coming = case.current, case.next
    new = max(stage.new if stage else 0, coming.new if coming and leaving else 0, case.own_need)
    if stage is None and case.app.way.approval:
        new = max(new, _validators(case))
    old = stage.old if stage else case.servers
    grown = (*case.grow(case.new, new), *case.grow(case.old, old))
    if not case.trusted:
        return grown
    most = max(new, coming.new if coming else 0, _validators(case) if stage is None else 0)
    spare = case.shrink(case.new, most)
    if spare or (stage is not None and case.serving(case.new) < stage.new):
        return (*grown, *spare)
    return (*grown, *case.shrink(case.old, old))
