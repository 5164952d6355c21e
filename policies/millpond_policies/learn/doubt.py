"""Whether more servers help at all: each growth above the goal is a trial.

After a growth while the goal was exceeded, either the goal is met, or responses got clearly shorter, or completions
rose with the servers. None of it: a strike. Two strikes: the limit is behind the servers, and no more than before the
last trial are added until a retry, later each time; or until as much is completed within the goal as was then: the
limit is gone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from millpond_policies.goals import Goal
from millpond_policies.learn.seconds import Second, completed_rps, goal_ms, since
from millpond_policies.learn.windows import PRESENT_S

STRIKES = 2
RETRY_S, LONGEST_RETRY_S = 300.0, 3600.0
AS_MUCH = 0.9  # of what was completed when servers did not help


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    servers: int
    completed_rps: float
    response_ms: float
    changed_s: float  # when the last of the new servers began to serve


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    strikes: int = 0
    retry_at_s: float | None = None
    servers: int | None = (
        None  # that served before the last trial; with so many the goal was met once, or may be
    )
    limit_rps: float | None = None  # completed by all servers at its end
    trial: Trial | None = None  # not persisted

    def unattainable(self, now_s: float) -> bool:
        return self.retry_at_s is not None and now_s < self.retry_at_s

    def most(self, now_s: float, kept: int, starting: bool) -> int | None:
        """How many servers may be ordered at most, when ``kept`` are; None: as many as are needed.

        Two strikes with 3 servers, then a quiet hour with 1: 3 again, and no fourth.
        """
        if self.unattainable(now_s):
            return max(kept, self.servers or 0)
        if not self.strikes:
            return None
        return kept if self.trial or starting else max(kept + 1, self.servers or 0)

    def observe(self, seconds: Sequence[Second], goal: Goal, settle_s: float) -> "Doubt":
        """Take in the newest of ``seconds``; a trial is judged ``settle_s`` after its servers began to serve."""
        if goal.target_ms is None or len(seconds) < 2:
            return self
        newest, before = seconds[-1], seconds[-2]
        if newest.serving > before.serving:
            return replace(self, trial=self._opened(seconds[:-1], goal, goal.target_ms, newest.at_s))
        if newest.serving < before.serving:
            return replace(self, trial=None)
        if self.trial is None:
            over = self.retry_at_s is not None and self._over(since(seconds, newest.at_s - settle_s), goal)
            return Doubt() if over else self
        if newest.at_s - self.trial.changed_s < settle_s:
            return self
        return self._judged(since(seconds, newest.at_s - settle_s), goal, goal.target_ms, newest)

    def _opened(self, seconds: Sequence[Second], goal: Goal, target_ms: float, at_s: float) -> Trial | None:
        if self.trial is not None:
            return replace(self.trial, changed_s=at_s)
        last = since(seconds, seconds[-1].at_s - PRESENT_S)
        response = goal_ms(goal, last)
        if response is None or response <= target_ms or not seconds[-1].serving:
            return None
        return Trial(
            servers=seconds[-1].serving,
            completed_rps=completed_rps(last),
            response_ms=response,
            changed_s=at_s,
        )

    def _judged(self, last: Sequence[Second], goal: Goal, target_ms: float, newest: Second) -> "Doubt":
        response = goal_ms(goal, last)
        trial = self.trial
        if response is None or trial is None:
            return self
        more = newest.serving / trial.servers - 1
        served = completed_rps(last) >= trial.completed_rps * (1 + 0.4 * more)
        if response <= target_ms or response <= 0.85 * trial.response_ms or served:
            return Doubt()
        strikes = self.strikes + 1
        doubt = Doubt(strikes=strikes, servers=trial.servers, limit_rps=completed_rps(last))
        if strikes < STRIKES:
            return doubt
        pause = min(LONGEST_RETRY_S, RETRY_S * 2.0 ** min(strikes - STRIKES, 10))
        return replace(doubt, retry_at_s=newest.at_s + pause)

    def _over(self, last: Sequence[Second], goal: Goal) -> bool:
        """The goal is met although no less is completed than when servers did not help."""
        response = goal_ms(goal, last)
        if response is None or self.limit_rps is None or goal.target_ms is None:
            return False
        return response <= goal.target_ms and completed_rps(last) >= AS_MUCH * self.limit_rps
