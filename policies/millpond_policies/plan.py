"""From the world as it is to what should be done: ``plan(snapshot, now_s)``."""

from collections.abc import Iterable
from dataclasses import replace

from millpond_policies.reasons import Reason
from millpond_policies.rollouts import rollout
from millpond_policies.size import scaling
from millpond_policies.world.actions import (
    Because,
    CancelRetire,
    CancelStarting,
    Grow,
    Hold,
    Retire,
    Steer,
    Verdict,
)
from millpond_policies.world.model import App, ServerState, Snapshot


def plan(snapshot: Snapshot, now_s: float) -> tuple[Verdict, ...]:
    """At least one verdict for every app, the most important app first. Deterministic."""
    apps = sorted(snapshot.apps, key=lambda app: (app.importance, app.key))
    return tuple(verdict for app in apps for verdict in judge(app, now_s))


def judge(app: App, now_s: float) -> tuple[Verdict, ...]:
    """Promises already made come first: a rollout under way decides alone; otherwise what serves is sized.

    Each stage sees what the earlier ones leave. A hold is only said when no stage acts.
    """
    verdicts = rollout.judge(app, now_s)
    if rollout.under_way(app):
        verdicts = verdicts or (_hold(app, now_s),)
    else:
        verdicts += scaling.judge(replace(after(app, verdicts), edition=app.serving), now_s)
    actions = tuple(v for v in verdicts if not isinstance(v, Hold))
    return actions or verdicts[:1]


def _hold(app: App, now_s: float) -> Hold:
    paused = app.paused_until_s is not None and now_s < app.paused_until_s
    now = sum(e.ordered for e in app.editions)
    reason = Reason.PAUSED if paused else Reason.EDITION_SWAP
    return Hold(app=app.key, edition=app.edition, because=Because(reason=reason, servers=now, wanted=now))


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
            case Steer():
                app = replace(app, progress=verdict.to)
            case Hold():
                pass
    return app


def _turned(app: App, uid: str, state: ServerState) -> App:
    return replace(app, servers=tuple(replace(s, state=state) if s.uid == uid else s for s in app.servers))
