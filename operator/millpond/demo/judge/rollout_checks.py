"""What must be true of a run with rollouts. Each check is a pure function of the scenario and the recording."""

from collections.abc import Sequence
from itertools import pairwise
from math import sqrt

from millpond.demo.recording import Moment, Recording
from millpond.demo.requests.accounts import faults
from millpond.demo.requests.answers import Answer
from millpond.demo.requests.tally import Outcome
from millpond.demo.scenario import Check, Scenario
from millpond.demo.script import Script, ScriptStep
from millpond_policies.world.release import Phase

STEPS_S = 5.0
"""From the edition's name in spec to its first request, beyond what its server takes to start."""
SURE = 3.0  # standard deviations

Checks = tuple[Check, ...]


def each_request_worked_on_once(_: Scenario, run: Recording) -> Checks:
    """By what the servers wrote down, and by what the answers say."""
    found = faults(run.answers, run.processed, one_edition=False, one_server=False)
    complete = len(run.answers) == run.requests.sent
    once = sum(len(run.processed.get(a.id, ())) == 1 for a in run.answers)
    told = f"{once} of {run.requests.sent}"
    return (
        Check(
            name="Servers worked on every request exactly once",
            passed=complete and not found,
            measured="; ".join([told, *found]),
            goal="all, by the servers' own books",
        ),
    )


def sessions_stay(_: Scenario, run: Recording) -> Checks:
    moved = faults(run.answers, run.processed, one_server=False)
    moved = [fault for fault in moved if "several editions" in fault]
    sessions = {a.session for a in run.answers if a.session}
    across = sum(_lived_through(run, session) for session in _answers_by_session(run).values())
    forgotten = len({a.session for a in run.answers if a.forgotten})
    told = f"{len(sessions)} sessions, {across} of them while editions changed; {forgotten} lost their server"
    return (
        Check(
            name="Every session stayed on one edition",
            passed=not moved and across > 0,
            measured="; ".join([told, *(moved or ["none moved"])]),
            goal="none moved",
        ),
    )


def _answers_by_session(run: Recording) -> dict[str, list[Answer]]:
    found: dict[str, list[Answer]] = {}
    for answer in run.answers:
        if answer.session:
            found.setdefault(answer.session, []).append(answer)
    return found


def _lived_through(run: Recording, answers: Sequence[Answer]) -> bool:
    """Whether new sessions began to go elsewhere while this one lasted."""
    first, last = min(a.t_s for a in answers), max(a.t_s for a in answers)
    weights = [(m.t_s, m.edition, m.weight) for m in run.moments]
    changes = [t for (_, *before), (t, *after) in pairwise(weights) if before != after]
    return any(first < t < last for t in changes)


def each_step_ended(scenario: Scenario, run: Recording) -> Checks:
    assert scenario.script
    return tuple(_ended(step, run) for step in scenario.script.steps)


def _ended(step: ScriptStep, run: Recording) -> Check:
    moments = run.rollout_of(step.edition)
    last = moments[-1] if moments else None
    wanted = f"{step.phase.value} ({step.reason.value}), {step.serves} serves"
    serves = None if last is None else last.edition if last.phase == Phase.COMPLETED else last.origin
    good = last is not None and (last.phase, last.reason, serves) == (step.phase, step.reason, step.serves)
    measured = "its rollout never began"
    if last is not None:
        measured = f"{last.phase} ({last.reason}), {serves} serves; took {last.t_s - moments[0].t_s:.0f} s"
    return Check(name=step.title, passed=good, measured=measured, goal=wanted)


def found_at_the_first_step(scenario: Scenario, run: Recording) -> Checks:
    """A canary that is taken back never got more than the first step's share, while the average looked well."""
    return tuple(_found(scenario, step, run) for step in _taken_back(scenario.script))


def _found(scenario: Scenario, step: ScriptStep, run: Recording) -> Check:
    moments = run.rollout_of(step.edition)
    trial = _trial(moments)
    reached = max((m.step for m in moments), default=0)
    name = f"{step.edition} was found sick at its first step"
    if trial is None:
        return Check(name=name, passed=False, measured=_no_trial(step), goal="at step 1")
    average = _mean_ms([a for a in run.answers if trial[0] <= a.t_s < trial[1]])
    own = _mean_ms([a for a in run.answers if a.edition == step.edition])
    return Check(
        name=name,
        passed=reached == 1,
        measured=f"at step {reached} after {trial[1] - trial[0]:.0f} s: {own:.0f} ms (all requests: {average:.0f} ms)",
        goal=f"at step 1, by its own average (goal: {scenario.goal_ms:.0f} ms)",
    )


def kept_to_its_share(scenario: Scenario, run: Recording) -> Checks:
    """While a sick canary was tried, it got no more than its step's share of the new sessions, by chance's measure."""
    return tuple(_share(step, run) for step in _taken_back(scenario.script))


def _share(step: ScriptStep, run: Recording) -> Check:
    """Each request without a session is a new session to the routers."""
    moments = run.rollout_of(step.edition)
    trial, weight = _trial(moments), max((m.weight for m in moments), default=0)
    name = f"New sessions on {step.edition}"
    if trial is None:
        return Check(name=name, passed=False, measured=_no_trial(step), goal=f"at most {weight} %")
    new = [a for a in _beginnings(run) if trial[0] <= a.t_s < trial[1]]
    got, allowed = sum(a.edition == step.edition for a in new), len(new) * weight / 100
    chance = SURE * sqrt(allowed * (1 - weight / 100))
    after = sum(a.edition == step.edition for a in _beginnings(run) if a.t_s >= trial[1] + 1)
    return Check(
        name=name,
        passed=0 < got <= allowed + chance and after == 0,
        measured=f"{got} of {len(new)} ({100 * got / max(1, len(new)):.1f} %); {after} after it was taken back",
        goal=f"at most {weight} %, so {allowed:.0f} and what chance adds (≤ {allowed + chance:.0f}); then 0",
    )


def _beginnings(run: Recording) -> list[Answer]:
    """Each session's first request, and each request without a session."""
    alone = [a for a in run.answers if not a.session]
    return alone + [min(answers, key=lambda a: a.t_s) for answers in _answers_by_session(run).values()]


def others_were_spared(scenario: Scenario, run: Recording) -> Checks:
    """Users of the edition that serves met the goal while a sick one was tried beside it."""
    return tuple(_spared(scenario, step, run) for step in _taken_back(scenario.script))


def _spared(scenario: Scenario, step: ScriptStep, run: Recording) -> Check:
    trial = _trial(run.rollout_of(step.edition))
    name = f"Users of {step.serves} while {step.edition} was tried"
    goal = f"average ≤ {scenario.goal_ms:.0f} ms"
    if trial is None:
        return Check(name=name, passed=False, measured=_no_trial(step), goal=goal)
    theirs = [a for a in run.answers if a.edition == step.serves and trial[0] <= a.t_s < trial[1]]
    average = _mean_ms(theirs)
    return Check(
        name=name,
        passed=bool(theirs) and average <= scenario.goal_ms,
        measured=f"{len(theirs)} requests, {average:.0f} ms on average",
        goal=goal,
    )


def never_below_the_need(scenario: Scenario, run: Recording) -> Checks:
    """Altogether at each moment, and the edition that serves alone while another one is taken back."""
    need = scenario.sequence[0]
    totals = [r.total for r in run.ready]
    altogether = Check(
        name=f"Never fewer than {need} servers",
        passed=bool(totals) and min(totals) >= need,
        measured=f"from {min(totals)} to {max(totals)}" if totals else "no server seen",
        goal=f"≥ {need} at each moment",
    )
    return (altogether, *(_kept_up(step, need, run) for step in _taken_back(scenario.script)))


def _kept_up(step: ScriptStep, need: int, run: Recording) -> Check:
    moments = run.rollout_of(step.edition)
    since_s, until_s = (moments[0].t_s, moments[-1].t_s) if moments else (0.0, 0.0)
    standing = [r for r in run.ready if r.t_s <= since_s][-1:]
    meanwhile = standing + [r for r in run.ready if since_s < r.t_s <= until_s]
    least = min((r.servers.get(step.serves, 0) for r in meanwhile), default=0)
    return Check(
        name=f"Servers of {step.serves} while {step.edition} was tried",
        passed=least >= need,
        measured=f"never fewer than {least}",
        goal=f"≥ {need}",
    )


def first_request_in_time(scenario: Scenario, run: Recording) -> Checks:
    """From a new edition's name in spec to the first request that it answers, the start of its server taken off."""
    assert scenario.script
    return tuple(_first_request(step.edition, run) for step in scenario.script.steps[:1])


def _first_request(edition: str, run: Recording) -> Check:
    name = f"From apply of {edition} to its first request"
    goal = f"its server's start and ≤ {STEPS_S:.0f} s"
    arrival = next((a for a in run.arrivals if a.edition == edition), None)
    first_s = min((a.t_s for a in run.answers if a.edition == edition), default=None)
    if arrival is None or arrival.start_s is None or first_s is None:
        return Check(name=name, passed=False, measured="none came", goal=goal)
    took_s = first_s - arrival.t_s
    return Check(
        name=name,
        passed=took_s - arrival.start_s <= STEPS_S,
        measured=f"{took_s:.1f} s, of which {arrival.start_s:.1f} s for the start of its server",
        goal=goal,
    )


def _taken_back(script: Script | None) -> Sequence[ScriptStep]:
    return [step for step in script.steps if step.phase is Phase.ROLLED_BACK] if script else []


def _trial(moments: Sequence[Moment]) -> tuple[float, float] | None:
    """From when to when it got new sessions; None: it never did, or still does."""
    begins = next((m.t_s for m in moments if m.weight > 0), None)
    ends = next((m.t_s for m in moments if begins is not None and m.t_s > begins and not m.weight), None)
    return None if begins is None or ends is None else (begins, ends)


def _no_trial(step: ScriptStep) -> str:
    return f"{step.edition} never got requests, or kept them"


def _mean_ms(answers: Sequence[Answer]) -> float:
    good = [a.took_s for a in answers if a.outcome is Outcome.OK]
    return 1000 * sum(good) / len(good) if good else float("nan")
