"""One app's verdicts, one after the other, and what came of each."""

from collections.abc import Callable, Iterable, Sequence

from millpond.control.act.apply import Hands
from millpond.control.guard.faults import Faults
from millpond.control.outcome import Done, Result
from millpond.control.report.told import tell
from millpond.control.resolve.record import ValidRecord
from millpond_policies.world.actions import Hold, Verdict


def acting(verdicts: Iterable[Verdict]) -> bool:
    """Whether something may have to be written."""
    return not all(isinstance(verdict, Hold) for verdict in verdicts)


async def carry_out(
    verdicts: Sequence[Verdict],
    record: ValidRecord,
    hands: Hands,
    faults: Faults,
    *,
    valid: Callable[[], bool],
    done: Callable[[Done], None],
) -> None:
    """``valid`` is asked before each: what was planned may be old by now. ``done`` is told as soon as one is."""
    for verdict in verdicts:
        if not valid():
            return
        if not hands.able(verdict):
            continue
        with faults.guard(record.key, type(verdict).__name__):
            wrote = await hands.apply(verdict, record)
            if wrote:
                tell(verdict)
            done(Done(verdict=verdict, result=Result.ACTED if wrote else Result.HELD))
