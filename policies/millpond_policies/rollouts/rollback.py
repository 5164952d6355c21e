"""Taking a new edition back: the old one first has again what the app needs, then gets everything.

It never gets more than it can serve while the new one serves: where its servers do not come, the new one goes on.
"""

from collections.abc import Iterable

from millpond_policies.reasons import Reason
from millpond_policies.rollouts.case import Case
from millpond_policies.world.actions import Input, Verdict
from millpond_policies.world.model import ServerState
from millpond_policies.world.release import Phase

AT_ONCE = (Reason.EDITION_ERRORS, Reason.EDITION_DOWN)  # requests are being lost
PATIENCE_S = 60.0  # then servers of the new one make room, one by one, if that is what the old ones wait for
_BY_PEOPLE = (Reason.ABORTED, Reason.SUPERSEDED)


def judge(
    case: Case, reason: Reason | None = None, message: str = "", inputs: Iterable[tuple[str, Input]] = ()
) -> tuple[Verdict, ...]:
    """``reason`` begins it, None goes on. The new edition's share falls as the old one's servers come back."""
    before = case.progress
    why = reason or before.reason
    begins = reason is not None and before.phase is not Phase.ROLLING_BACK
    weight = _weight(case, why)
    back = weight == 0 and case.serving(case.old) >= case.servers
    final = Phase.ABORTED if why in _BY_PEOPLE else Phase.ROLLED_BACK
    told = case.steer(
        why,
        (message or f"edition {case.old.name} serves on") if begins else before.message,
        phase=final if back else Phase.ROLLING_BACK,
        weight=weight,
        again=begins,
        inputs=inputs,
    )
    leaving = case.shrink(case.new, _stay(case, begins=begins)) if not back else ()
    return (*told, *case.grow(case.old, case.servers), *leaving)


def _weight(case: Case, why: Reason) -> int:
    """The new edition's share: 75 % while one of four old servers serves; 0 at once where requests are being lost."""
    old, new = case.serving(case.old), case.serving(case.new)
    if old >= case.servers or not new or (why in AT_ONCE and old):
        return 0
    return min(case.progress.weight, 100 - 100 * old // case.servers)


def _stay(case: Case, *, begins: bool) -> int:
    """Servers of the new edition that do not leave yet: those that serve; after a minute, one fewer than is missing
    where an old one finds no room. The last server that serves at all stays."""
    old, serving = case.serving(case.old), case.serving(case.new)
    homeless = case.app.servers_of(case.old.name, ServerState.PENDING)
    if begins or case.elapsed_s <= PATIENCE_S or not homeless or not case.trusted:
        return serving
    return max(0 if old else 1, min(serving, case.servers - old - 1))
