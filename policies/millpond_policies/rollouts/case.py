"""One rollout with everything that its judges look at."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from millpond_policies.reasons import Reason
from millpond_policies.rollouts import analysis
from millpond_policies.rollouts.analysis import Finding
from millpond_policies.rollouts.stages import Stage, stages
from millpond_policies.size.moves import down, up
from millpond_policies.size.scaling import clamp
from millpond_policies.size.sizing import kept, size
from millpond_policies.world.actions import Because, Hold, Input, Steer, Verdict
from millpond_policies.world.model import App, EditionView, Freshness, Mode, ServerState
from millpond_policies.world.release import Needs, Phase, Progress
from millpond_policies.world.strategy import Strategy

_UNKNOWN = (Freshness.STALE, Freshness.PARTIAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """``servers``: what the app needs altogether. While the rollout is under way it only falls with the ceiling."""

    app: App
    progress: Progress
    now_s: float
    new: EditionView
    old: EditionView
    servers: int
    fresh: bool  # not written down yet

    @classmethod
    def of(cls, app: App, progress: Progress, now_s: float, *, fresh: bool = False) -> "Case":
        new = app.view(progress.edition) or EditionView(name=progress.edition, ordered=0)
        old = app.view(progress.origin) or EditionView(name=progress.origin, ordered=0)
        if app.mode is Mode.MANUAL:
            servers = clamp(app, app.manual_servers)
        else:
            floor = max(progress.servers, kept(app, old) if fresh else 0)
            servers = clamp(app, max(size(app, old, now_s).needed or 0, floor))
        return cls(app=app, progress=progress, now_s=now_s, new=new, old=old, servers=servers, fresh=fresh)

    @property
    def stages(self) -> tuple[Stage, ...]:
        return stages(self.app.way, self.servers)

    @property
    def step(self) -> int:
        """The stage in force, 0 before the first. With fewer servers there are fewer groups, and the share tells.

        At 50 % with 4 servers in groups of one (step 2 of 4): when 2 are enough it is step 1 of 2.
        """
        step, share = self.progress.step, self.progress.weight
        if (
            step
            and self.app.way.strategy is Strategy.ROLLING
            and self.progress.phase is not Phase.ROLLING_BACK
        ):
            passed = self.stages[:step]
            if passed[-1].weight > share:
                return sum(stage.weight <= share for stage in passed)
        return step

    @property
    def current(self) -> Stage | None:
        """The stage in force; None before the first request."""
        return self.stages[min(self.step, len(self.stages)) - 1] if self.step else None

    @property
    def next(self) -> Stage | None:
        """The stage to come; None in the last one."""
        return self.stages[self.step] if self.step < len(self.stages) else None

    @property
    def elapsed_s(self) -> float:
        return self.now_s - self.progress.step_s

    def serving(self, view: EditionView) -> int:
        return len(self.app.servers_of(view.name, ServerState.SERVING))

    def kept(self, view: EditionView) -> int:
        return kept(self.app, view)

    @property
    def own_need(self) -> int:
        """Servers that the new edition needs for what it gets now: a canary must not hide behind the others."""
        if self.app.mode is Mode.MANUAL or not self.progress.step:
            return 0
        return min(self.servers, size(self.app, self.new, self.now_s, alone=True).needed or 0)

    @property
    def trusted(self) -> bool:
        """Ignorance promotes nothing: somebody must have seen this app's requests, and nobody may be missing."""
        return trusted(self.app, self.new, self.old)

    @property
    def unknown(self) -> bool:
        return unknown(self.new, self.old)

    @property
    def finding(self) -> Finding:
        return analysis.judge(self.new.evidence, self.old.evidence, self.app.goal, self.app.way.min_requests)

    def grow(self, view: EditionView, to: int) -> tuple[Verdict, ...]:
        """Up to ``to`` servers; nothing when there are so many."""
        if self.kept(view) >= to:
            return ()
        return up(self.app, view, to, Reason.EDITION_SWAP, self._why)

    def shrink(self, view: EditionView, to: int) -> tuple[Verdict, ...]:
        """Down to ``to`` servers, a group at a time; nothing when there are no more."""
        if self.kept(view) <= to:
            return ()
        group = self.app.way.group
        verdicts = down(self.app, view, to, Reason.EDITION_SWAP, self._why, at_a_time=group)
        return tuple(v for v in verdicts if not isinstance(v, Hold))

    def steer(
        self,
        reason: Reason,
        message: str,
        *,
        phase: Phase | None = None,
        step: int | None = None,
        weight: int | None = None,
        needs: Needs | None = None,
        until_s: float | None = None,
        again: bool = False,
        inputs: Iterable[tuple[str, Input]] = (),
    ) -> tuple[Verdict, ...]:
        """The rollout at this point; nothing when it is there already. ``again``: the step's time begins anew."""
        before = self.progress
        to = replace(
            before,
            strategy=self.app.way.strategy,
            phase=phase or before.phase,
            step=(self.step or min(1, before.step)) if step is None else step,
            weight=before.weight if weight is None else weight,
            servers=self.servers,
            step_s=self.now_s if again or (step is not None and step != self.step) else before.step_s,
            reason=reason,
            message=message,
            needs=needs,
            until_s=until_s,
        )
        if to == replace(before, message=message) and not self.fresh:  # figures in words are no news
            return ()
        because = replace(self._why(reason, self.servers), inputs=(*self._inputs(to), *inputs))
        return (Steer(app=self.app.key, edition=before.edition, to=to, because=because),)

    def _inputs(self, to: Progress) -> tuple[tuple[str, Input], ...]:
        return (
            ("strategy", to.strategy.value),
            ("step", to.step),
            ("weight", to.weight),
            ("serving", self.serving(self.new)),
            ("old_serving", self.serving(self.old)),
            ("metrics", self.new.freshness.value),
        )

    def _why(self, reason: Reason, servers: int) -> Because:
        inputs = (("serving", self.serving(self.new)), ("old_servers", self.kept(self.old)))
        wanted = self.servers
        return Because(reason=reason, servers=servers, wanted=wanted, needed=wanted, inputs=inputs)


def unknown(*views: EditionView) -> bool:
    """Somebody who must report did not, or reports no more."""
    return any(view.freshness in _UNKNOWN for view in views)


def trusted(app: App, *views: EditionView) -> bool:
    """Whether enough is known of these editions to promote one, or to take servers of one away."""
    seen = app.mode is Mode.MANUAL or any(view.freshness is Freshness.FRESH for view in views)
    return seen and not unknown(*views)
