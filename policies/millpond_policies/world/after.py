"""The world as the next stage of a plan sees it: as it will be ordered once the verdicts so far are obeyed."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from millpond_policies.world.actions import (
    AnyVerdict,
    CancelRetire,
    CancelStarting,
    Grow,
    Hold,
    HoldNode,
    Retire,
    Steer,
    Verdict,
)
from millpond_policies.world.model import App, ServerState, Snapshot


def after(snapshot: Snapshot, verdicts: Iterable[AnyVerdict]) -> Snapshot:
    """A new snapshot; ``verdicts`` may be about any of its apps and nodes."""
    by_app: dict[str, list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        if not isinstance(verdict, HoldNode | Hold):  # a hold changes nothing
            by_app[verdict.app].append(verdict)
    if not by_app:
        return snapshot
    apps = tuple(app_after(app, by_app[app.key]) if app.key in by_app else app for app in snapshot.apps)
    ended = {
        before.key
        for before, then in zip(snapshot.apps, apps, strict=True)
        if before.rolls_out and not then.rolls_out
    }
    return replace(snapshot, apps=apps, ended=snapshot.ended | ended)


def app_after(app: App, verdicts: Iterable[Verdict]) -> App:
    """One app once ``verdicts`` about it are obeyed."""
    for verdict in verdicts:
        match verdict:
            case Grow() | CancelStarting():
                editions = (
                    replace(e, ordered=verdict.to) if e.name == verdict.edition else e for e in app.editions
                )
                app = replace(app, editions=tuple(editions))
            case Retire():
                app = _turned(app, verdict.uid, ServerState.DRAINING)
            case CancelRetire():
                app = _turned(app, verdict.uid, ServerState.SERVING)
            case Steer():
                app = replace(app, progress=verdict.to)
            case Hold():
                pass
    return app


def _turned(app: App, uid: str, state: ServerState) -> App:
    return replace(app, servers=tuple(replace(s, state=state) if s.uid == uid else s for s in app.servers))
