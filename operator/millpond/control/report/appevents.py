"""Events about apps."""

from millpond.control.resolve.candidates import Candidate
from millpond.kube.events import Event, Type
from millpond_policies.reasons import Reason


def event(
    app: Candidate, reason: Reason, message: str, dedupe: tuple[object, ...], *, warning: bool = False
) -> Event:
    """The same event is told once for each ``dedupe``."""
    return Event(
        key=app.key,
        uid=app.uid,
        kind="ElasticApp",
        reason=reason,
        message=message,
        type=Type.WARNING if warning else Type.NORMAL,
        dedupe=dedupe,
    )
