"""Swap editions: the new one first grows to what the old ones have, then they give up one server at a time.

For a moment both hold a full set: an app may then have up to twice its ``max_servers``, each edition no more than it.
"""

from millpond_policies.actions import Because, Verdict
from millpond_policies.model import App, EditionView, Freshness, Mode, ServerState
from millpond_policies.moves import down, up
from millpond_policies.reasons import Reason
from millpond_policies.scaling import clamp
from millpond_policies.sizing import kept, size


def judge(app: App, now_s: float) -> tuple[Verdict, ...]:
    """Nothing when there is no older edition left, or the app is paused."""
    new = app.view(app.edition)
    old = [e for e in app.editions if e.name != app.edition and e.ordered > 0]
    if new is None or not old or (app.paused_until_s is not None and now_s < app.paused_until_s):
        return ()
    owed = _owed(app, new, old, now_s)
    serving = len(app.servers_of(new.name, ServerState.SERVING))

    def because(reason: Reason, servers: int) -> Because:
        inputs = (("serving", serving), ("old_servers", sum(kept(app, e) for e in old)))
        return Because(reason=reason, servers=servers, wanted=owed, needed=owed, inputs=inputs)

    if kept(app, new) < owed:
        return up(app, new, owed, Reason.EDITION_SWAP, because)
    if serving < owed or not _trusted(app, new, old):
        return ()
    leaving = min(old, key=lambda e: (kept(app, e), e.name))
    return down(app, leaving, 0, Reason.EDITION_SWAP, because) if kept(app, leaving) else ()


def _owed(app: App, new: EditionView, old: list[EditionView], now_s: float) -> int:
    """What the new edition must have in service before the old ones may lose another server."""
    if app.mode is Mode.MANUAL:
        return clamp(app, app.manual_servers)
    needed = size(app, new, now_s).needed or 0
    return clamp(app, max(needed, sum(kept(app, e) for e in old)))


def _trusted(app: App, new: EditionView, old: list[EditionView]) -> bool:
    """Ignorance promotes nothing: somebody must have seen this app's requests, and nobody may be missing."""
    if app.mode is Mode.MANUAL:
        return True
    seen = [e.freshness for e in (new, *old)]
    return Freshness.FRESH in seen and not {Freshness.STALE, Freshness.PARTIAL} & set(seen)
