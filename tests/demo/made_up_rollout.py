"""A recording of rollouts that never were: v2 takes over from v1, v3 is tried and taken back."""

from collections.abc import Sequence
from dataclasses import replace

from millpond.demo.recording import Arrival, EditionSecond, Moment, Ready, Recording, Second
from millpond.demo.requests.answers import Answer
from millpond.demo.requests.profile import Profile
from millpond.demo.requests.tally import Outcome, Totals
from millpond.demo.scenario import Scenario
from millpond.demo.script import Mix, Script, ScriptStep
from millpond_policies.reasons import Reason
from millpond_policies.world.release import Phase

from .made_up import SCENARIO as SURGE

SCRIPT = Script(
    steps=(
        ScriptStep(
            title="Rollout of v2",
            commands=(("millpond", "rollout", "start", "shop", "--edition", "v2"),),
            edition="v2",
            phase=Phase.COMPLETED,
            reason=Reason.TOOK_OVER,
            serves="v2",
            hold_s=5,
        ),
        ScriptStep(
            title="Rollout of v3",
            commands=(("millpond", "rollout", "start", "shop", "--edition", "v3"),),
            edition="v3",
            phase=Phase.ROLLED_BACK,
            reason=Reason.EDITION_SLOW,
            serves="v2",
            hold_s=5,
        ),
    ),
    mix=Mix(),
    after_s=10,
)
SCENARIO: Scenario = replace(
    SURGE,
    script=SCRIPT,
    sequence=(2,),
    profile=Profile.steps((60, 20)),
    calm_s=40.0,
    title="Made-up rollouts",
)
RATE = 20
SLOW_MS = 900.0


def moment(t_s: float, edition: str, phase: str, step: int, weight: int, reason: str) -> Moment:
    origin = {"v2": "v1", "v3": "v2"}[edition]
    return Moment(
        t_s=t_s,
        edition=edition,
        origin=origin,
        strategy="Canary",
        phase=phase,
        step=step,
        steps=2,
        weight=weight,
        reason=reason,
        message=f"because of {reason}",
    )


MOMENTS = (
    moment(6, "v2", "Progressing", 0, 0, "ServersWanted"),
    moment(10, "v2", "Progressing", 1, 20, "NextStep"),
    moment(20, "v2", "Progressing", 2, 100, "NextStep"),
    moment(25, "v2", "Completed", 2, 100, "TookOver"),
    moment(36, "v3", "Progressing", 0, 0, "ServersWanted"),
    moment(40, "v3", "Progressing", 1, 20, "NextStep"),
    moment(50, "v3", "RolledBack", 1, 0, "EditionSlow"),
)
READY = (
    Ready(t_s=0.0, servers={"v1": 2}),
    Ready(t_s=9.0, servers={"v1": 2, "v2": 2}),
    Ready(t_s=27.0, servers={"v2": 2}),
    Ready(t_s=39.0, servers={"v2": 2, "v3": 1}),
    Ready(t_s=51.0, servers={"v2": 2}),
)


def edition_at(number: int, t_s: float) -> str:
    """Every fifth new session goes to the edition that is tried."""
    tried = number % 5 == 0
    if t_s < 20:
        return "v2" if tried and t_s >= 10 else "v1"
    return "v3" if tried and 40 <= t_s < 50 else "v2"


def answers() -> tuple[Answer, ...]:
    """One in ten requests belongs to a session of twelve seconds, which stays where it began."""
    return tuple(_answer(n, n / RATE) for n in range(60 * RATE))


def _answer(number: int, t_s: float) -> Answer:
    session, begun_s = "", t_s
    if number % 10 == 3:
        begun_s = 12 * int(t_s / 12)
        session = f"s{begun_s}"
    edition = edition_at(number + 1 if session else number, begun_s)
    took_s = SLOW_MS / 1000 if edition == "v3" else 0.1
    return Answer(
        id=f"demo-{number}",
        t_s=t_s,
        took_s=took_s,
        outcome=Outcome.OK,
        status=200,
        server=f"shop-{edition}-a",
        edition=edition,
        session=session,
    )


def seconds(found: Sequence[Answer]) -> tuple[Second, ...]:
    return tuple(_second(t, [a for a in found if int(a.t_s) == t]) for t in range(60))


def _second(t_s: int, found: Sequence[Answer]) -> Second:
    ready = [r for r in READY if r.t_s <= t_s + 1][-1].servers
    moments = [m for m in MOMENTS if m.t_s <= t_s + 1]
    names = sorted({*ready, *(a.edition for a in found)})
    own = {name: [a.took_s * 1000 for a in found if a.edition == name] for name in names}
    return Second(
        t_s=t_s,
        rate_rps=float(len(found)),
        response_ms=sum(a.took_s for a in found) * 1000 / len(found),
        ok=len(found),
        servers_ready=sum(ready.values()),
        servers_desired=sum(ready.values()),
        editions={
            name: EditionSecond(
                ready=ready.get(name, 0),
                answers=len(own[name]),
                response_ms=sum(own[name]) / len(own[name]) if own[name] else None,
            )
            for name in names
        },
        rollout=moments[-1] if moments else None,
        commands=("millpond rollout start shop --edition v2",) if t_s >= 5 else (),
    )


def recording(found: Sequence[Answer] | None = None) -> Recording:
    found = tuple(answers() if found is None else found)
    good = sum(a.outcome is Outcome.OK for a in found)
    return Recording(
        scenario="made-up",
        seconds=seconds(found),
        orders=(),
        decisions=(),
        requests=Totals(sent=len(found), outcomes={Outcome.OK: good}),
        routed=len(found),
        moments=MOMENTS,
        arrivals=(Arrival(t_s=5.5, edition="v2", created_s=6.0, up_s=8.5), Arrival(t_s=35.5, edition="v3")),
        ready=READY,
        answers=found,
        processed={a.id: [a.server] for a in found},
    )
