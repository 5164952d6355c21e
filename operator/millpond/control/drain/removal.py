"""One retiring server, brought a step further: removed when nothing stands in its way, kept when its order is void."""

from collections.abc import Iterable

from millpond.api.kinds.elasticapp import Drain
from millpond.control.drain import retire
from millpond.control.drain.quiet import Quiet
from millpond.control.drain.retire import RetireStep
from millpond.control.observe.access import Access
from millpond.control.observe.objects import Pod, ReplicaSet
from millpond.control.report.appevents import event
from millpond.control.resolve.candidates import Candidate
from millpond.control.resolve.record import Record
from millpond_policies.reasons import Reason

VOID_S = 5.0  # a removal that the ReplicaSet does not carry out for so long, although it has seen it, is void


async def advance(
    access: Access, pod: Pod, record: Record, drain: Drain, *, acknowledged: bool, quiet: Quiet | None
) -> RetireStep | None:
    """Bring one retiring server a step further; returns what it waits for (None: nothing to do with it).

    ``quiet``: what was seen of it since every router acknowledged; None while they have not.
    """
    app, owned = record.app, record.sets.get(pod.edition)
    if pod.retire is None or pod.deleting or owned is None:
        return None
    siblings, now_s = record.pods_of(pod.edition), access.clock()
    if await _revoked(access, pod, app, owned, siblings, quiet, now_s):
        return None
    sessions_s = drain.session_timeout_s
    busy = quiet.busy(pod.retire, sessions_s, now_s) if quiet else RetireStep.REQUESTS
    step = retire.next_step(
        pod, owned, siblings, acknowledged=acknowledged and quiet is not None, busy=busy, now_s=now_s
    )
    if step is RetireStep.REMOVE and quiet is not None and access.may_act():
        await retire.remove(access.api, access.world, pod, owned)
        _tell_removed(access, pod, app, quiet, sessions_s, now_s)
    return step


async def _revoked(
    access: Access,
    pod: Pod,
    app: Candidate,
    owned: ReplicaSet,
    siblings: Iterable[Pod],
    quiet: Quiet | None,
    now_s: float,
) -> bool:
    """Let it serve again when its ordered removal took another one, or nobody because servers were ordered anew."""
    void = retire.order_is_void(pod, owned, siblings)
    other = retire.wrong_one_died(pod, owned, siblings)
    if quiet is not None:
        quiet.void_since_s = (quiet.void_since_s or now_s) if void else None
    lapsed = quiet is not None and quiet.void_since_s is not None and now_s - quiet.void_since_s > VOID_S
    if other is None and not lapsed:
        return False
    await retire.cancel(access.api, access.world, pod)
    what = f"server {other.name} was removed instead of" if other else "no server is removed any more for"
    access.events.post(
        event(app, Reason.WRONG_SERVER_DIED, f"{what} {pod.name}, which serves on", (pod.uid,), warning=True)
    )
    return True


def _tell_removed(
    access: Access, pod: Pod, app: Candidate, quiet: Quiet, sessions_s: float | None, now_s: float
) -> None:
    left = quiet.left(sessions_s, now_s)
    if left is None:
        text = f"server {pod.name} finished its requests and is removed"
        access.events.post(event(app, Reason.SERVER_RETIRED, text, (pod.uid,)))
        return
    if quiet.last is not None:
        access.on_cut(app.key, quiet.last.requests, quiet.last.streams)
    text = f"server {pod.name} is removed at its drain deadline with {left}"
    access.events.post(event(app, Reason.RETIRE_DEADLINE, text, (pod.uid,), warning=True))
