"""From the world as it is to what should be done: ``plan(snapshot, now_s)``."""

from collections.abc import Iterable
from dataclasses import replace

from millpond_policies import rollout, scaling
from millpond_policies.actions import CancelRetire, CancelStarting, Grow, Hold, Retire, Verdict
from millpond_policies.model import App, ServerState, Snapshot

STAGES = (
    rollout.judge,  # keep promises already made: an edition swap goes on before anything is sized
    scaling.judge,  # then size what the app needs, on top of what the swap just ordered
)


def plan(snapshot: Snapshot, now_s: float) -> tuple[Verdict, ...]:
    """At least one verdict for every app, the most important app first. Deterministic."""
    apps = sorted(snapshot.apps, key=lambda app: (app.importance, app.key))
    return tuple(verdict for app in apps for verdict in judge(app, now_s))


def judge(app: App, now_s: float) -> tuple[Verdict, ...]:
    """Each stage sees what the earlier ones leave. A hold is only said when no stage acts."""
    verdicts: tuple[Verdict, ...] = ()
    for stage in STAGES:
        found = stage(app, now_s)
        app = after(app, found)
        verdicts += found
    actions = tuple(v for v in verdicts if not isinstance(v, Hold))
    return actions or verdicts[:1]


def after(app: App, verdicts: Iterable[Verdict]) -> App:
    """The app as it will be ordered once ``verdicts`` are obeyed."""
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
            case Hold():
                pass
    return app


def _turned(app: App, uid: str, state: ServerState) -> App:
    return replace(app, servers=tuple(replace(s, state=state) if s.uid == uid else s for s in app.servers))
