"""Rollouts: when one begins, is given up, or ends; and what is left of editions that serve no more.

How one goes on is in `takeover`, how it is taken back in `rollback`. A rollout is under way from the moment that spec
names another edition than the one that serves, until the new one carries everything (``Completed``) or the old one
again (``RolledBack``, ``Aborted``). Servers that are left over then retire while the serving edition is sized as ever.
"""

from millpond_policies.reasons import Reason
from millpond_policies.rollouts import rollback, takeover
from millpond_policies.rollouts.case import Case, trusted
from millpond_policies.size.moves import down
from millpond_policies.size.sizing import kept
from millpond_policies.world.actions import Because, Hold, Steer, Verdict
from millpond_policies.world.model import App, EditionView, Mode, ServerState, Snapshot
from millpond_policies.world.release import Phase, Progress


def stage(snapshot: Snapshot, now_s: float) -> tuple[Verdict, ...]:
    """Of apps with a rollout under way at least a hold each, of others what is left of earlier editions."""
    return tuple(verdict for app in snapshot.judged for verdict in (judge(app, now_s) or _hold(app, now_s)))


def judge(app: App, now_s: float) -> tuple[Verdict, ...]:
    """Nothing when no rollout is under way and no other edition has servers, or the app is paused."""
    if app.paused(now_s):
        return ()
    progress = app.progress
    if progress is not None and not progress.phase.final:
        return _go_on(app, progress, now_s)
    if app.named_anew:
        return _begin(app, now_s)
    return (*_settle(app, now_s), *_clear(app))


def _hold(app: App, now_s: float) -> tuple[Verdict, ...]:
    if not app.rolls_out:
        return ()
    reason = Reason.PAUSED if app.paused(now_s) else Reason.EDITION_SWAP
    servers = sum(e.ordered for e in app.editions)
    because = Because(reason=reason, servers=servers, wanted=servers)
    return (Hold(app=app.key, edition=app.edition, because=because),)


def _begin(app: App, now_s: float) -> tuple[Verdict, ...]:
    begun = Progress(
        edition=app.edition,
        origin=app.active,
        strategy=app.way.strategy,
        phase=Phase.PROGRESSING,
        servers=0,
        started_s=now_s,
        step_s=now_s,
        reason=Reason.NEW_EDITION,
    )
    return takeover.judge(Case.of(app, begun, now_s, fresh=True))


def _go_on(app: App, progress: Progress, now_s: float) -> tuple[Verdict, ...]:
    case = Case.of(app, progress, now_s)
    if progress.phase is Phase.ROLLING_BACK:
        return rollback.judge(case)
    if progress.edition != app.edition:
        return rollback.judge(case, Reason.SUPERSEDED)
    if app.way.aborted:
        return rollback.judge(case, Reason.ABORTED)
    return takeover.judge(case)


def _settle(app: App, now_s: float) -> tuple[Verdict, ...]:
    """Spec names the serving edition again: what was given up may be tried once more later."""
    progress = app.progress
    if progress is None or progress.edition == app.edition or app.edition != app.active:
        return ()
    reason = Reason.SERVES_ALREADY
    to = Progress(
        edition=app.edition,
        origin=progress.edition,
        strategy=app.way.strategy,
        phase=Phase.COMPLETED,
        weight=100,
        servers=progress.servers,
        started_s=now_s,
        step_s=now_s,
        reason=reason,
        message=f"edition {app.edition} serves already",
    )
    because = Because(reason=reason, servers=progress.servers, wanted=progress.servers)
    return (Steer(app=app.key, edition=app.edition, to=to, because=because),)


def _clear(app: App) -> tuple[Verdict, ...]:
    """Editions that serve no more give up their servers, a group at a time, the smallest first."""
    serving = app.view(app.active)
    left = [e for e in app.editions if e is not serving and kept(app, e)]
    if not left or serving is None or not _carries(app, serving):
        return ()
    edition = min(left, key=lambda e: (kept(app, e), e.name))
    if not trusted(app, edition, serving):
        return ()

    def because(reason: Reason, servers: int) -> Because:
        return Because(reason=reason, servers=servers, wanted=0, needed=0)

    return down(app, edition, 0, Reason.EDITION_SWAP, because, at_a_time=app.way.group)


def _carries(app: App, serving: EditionView) -> bool:
    """All its servers are there: what the others have is not needed."""
    there = len(app.servers_of(serving.name, ServerState.SERVING))
    return there >= max(app.min_servers if app.mode is Mode.AUTOMATIC else 1, kept(app, serving))
