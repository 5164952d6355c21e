"""Taking a new edition back: the old one first has again what the app needs, then gets everything."""

from collections.abc import Iterable

from millpond_policies.reasons import Reason
from millpond_policies.rollouts.case import Case
from millpond_policies.world.actions import Input, Verdict
from millpond_policies.world.release import Phase

AT_ONCE = (Reason.EDITION_ERRORS, Reason.EDITION_DOWN)  # requests are being lost
PATIENCE_S = 60.0  # then it gets everything even if its servers did not come: the new ones take their room
_BY_PEOPLE = (Reason.ABORTED, Reason.SUPERSEDED)


def judge(
    case: Case, reason: Reason | None = None, message: str = "", inputs: Iterable[tuple[str, Input]] = ()
) -> tuple[Verdict, ...]:
    """``reason`` begins it, None goes on. The new edition's share falls as the old one's servers come back."""
    before = case.progress
    why = reason or before.reason
    begins = reason is not None and before.phase is not Phase.ROLLING_BACK
    weight = _weight(case, why, begins=begins)
    back = weight == 0 and (case.serving(case.old) >= case.servers or (not begins and _waited(case)))
    final = Phase.ABORTED if why in _BY_PEOPLE else Phase.ROLLED_BACK
    told = case.steer(
        why,
        (message or f"edition {case.old.name} serves on") if begins else before.message,
        phase=final if back else Phase.ROLLING_BACK,
        weight=weight,
        again=begins,
        inputs=inputs,
    )
    starting = case.shrink(case.new, case.serving(case.new)) if not back else ()
    return (*told, *case.grow(case.old, case.servers), *starting)


def _weight(case: Case, why: Reason, *, begins: bool) -> int:
    serving = case.serving(case.old)
    if serving >= case.servers or (why in AT_ONCE and serving) or (not begins and _waited(case)):
        return 0
    return min(case.progress.weight, 100 - 100 * serving // case.servers)


def _waited(case: Case) -> bool:
    return case.elapsed_s > PATIENCE_S
