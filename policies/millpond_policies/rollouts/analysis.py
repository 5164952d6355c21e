"""Is the new edition as sound as it must be? Judged against its goal and against the old one in the same minutes.

Three answers, because a few requests prove nothing: *sound*, *sick*, or *unsure* (wait for more). A difference counts
when chance would hardly make it (three standard deviations) and when it matters (the tolerances below).

Errors: the two-proportion z-test. 12 of 300 requests failed on the new edition and 3 of 2,700 on the old one: rates
of 4 % and 0.11 %, pooled 0.5 %, z = 0.0389 / sqrt(0.005 · 0.995 · (1/300 + 1/2700)) = 9.1: sick.
Response: the goal's value against the target, its uncertainty from how the seconds differ. When the old edition misses
the goal as well, the load is to blame, and the new one is only sick if it is slower by more than a quarter.
"""

from dataclasses import dataclass
from enum import StrEnum
from math import sqrt

from millpond_policies.goals import Goal, GoalKind
from millpond_policies.learn.histogram import percentile_ms
from millpond_policies.learn.seconds import RESOLUTION_MS, at_least
from millpond_policies.reasons import Reason
from millpond_policies.world.actions import Input
from millpond_policies.world.release import Evidence

SURE = 3.0  # standard deviations
LEAST_ERRORS = 5  # fewer failed requests prove nothing
MORE_ERRORS = 0.01  # of all requests, above the old edition's share, matter
ALONE_ERRORS = 0.05  # of all requests, when there is nothing to compare with
SLOWER = 1.25  # times the old edition's response, when both miss the goal
MUCH_SLOWER = 1.5  # times, when there is no goal
COMPARABLE = 50  # requests of the old edition, to compare with
ENOUGH_WINDOWS = 8  # seconds with requests, before slowness is more than a moment


class Judgement(StrEnum):
    SOUND = "sound"
    SICK = "sick"
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    judgement: Judgement
    reason: Reason
    inputs: tuple[tuple[str, Input], ...] = ()


def judge(new: Evidence, old: Evidence, goal: Goal, min_requests: int) -> Finding:
    """``min_requests`` of the new edition are needed to call it sound; for sick, more than chance explains."""
    inputs = (
        ("new_requests", new.requests),
        ("new_errors", new.errors),
        ("new_ms", _short(value_ms(new, goal))),
        ("old_requests", old.requests),
        ("old_errors", old.errors),
        ("old_ms", _short(value_ms(old, goal))),
        ("target_ms", goal.target_ms),
    )

    def found(judgement: Judgement, reason: Reason) -> Finding:
        return Finding(judgement=judgement, reason=reason, inputs=inputs)

    if _more_errors(new, old):
        return found(Judgement.SICK, Reason.EDITION_ERRORS)
    slow = _slower(new, old, goal)
    if slow is Judgement.SICK:
        return found(Judgement.SICK, Reason.EDITION_SLOW)
    if slow is Judgement.UNSURE or new.timed < min_requests:
        return found(Judgement.UNSURE, Reason.NOT_ENOUGH_REQUESTS)
    return found(Judgement.SOUND, Reason.EDITION_SOUND)


def value_ms(evidence: Evidence, goal: Goal) -> float | None:
    """The goal's figure: a percentile, or the mean. None without requests."""
    if goal.kind is GoalKind.PERCENTILE and goal.percentile is not None:
        return at_least(percentile_ms(evidence.histogram, goal.percentile))
    return at_least(evidence.mean_ms)


def _more_errors(new: Evidence, old: Evidence) -> bool:
    if new.errors < LEAST_ERRORS:
        return False
    if old.requests < COMPARABLE:
        return new.error_rate > ALONE_ERRORS
    pooled = (new.errors + old.errors) / (new.requests + old.requests)
    chance = sqrt(max(1e-9, pooled * (1 - pooled)) * (1 / new.requests + 1 / old.requests))
    more = new.error_rate - old.error_rate
    return more > MORE_ERRORS and more > SURE * chance


def _slower(new: Evidence, old: Evidence, goal: Goal) -> Judgement:
    seen = value_ms(new, goal)
    if seen is None:
        return Judgement.UNSURE
    before = value_ms(old, goal) if old.timed >= COMPARABLE else None
    noise = _noise_ms(new, goal, seen)
    if goal.target_ms is None:
        bound = None if before is None else max(MUCH_SLOWER * before, before + RESOLUTION_MS)
        return _against(seen, noise, bound)
    if seen <= goal.target_ms:
        return Judgement.SOUND
    blameless = before is not None and before > 0.9 * goal.target_ms
    bound = SLOWER * before if blameless and before is not None else goal.target_ms
    return _against(seen, noise, max(bound, goal.target_ms))


def _against(seen_ms: float, noise_ms: float, bound_ms: float | None) -> Judgement:
    if bound_ms is None or seen_ms <= bound_ms:
        return Judgement.SOUND
    return Judgement.SICK if seen_ms - SURE * noise_ms > bound_ms else Judgement.UNSURE


def _noise_ms(evidence: Evidence, goal: Goal, seen_ms: float) -> float:
    """One standard deviation of the figure: what the seconds' means say, and for a percentile also its ranks."""
    if evidence.windows < ENOUGH_WINDOWS:
        return seen_ms
    ranks = 0.0
    if goal.kind is GoalKind.PERCENTILE and goal.percentile is not None:
        share = goal.percentile / 100
        lower = 100 * (share - sqrt(share * (1 - share) / evidence.timed))
        ranks = seen_ms - (percentile_ms(evidence.histogram, max(0.0, lower)) or 0.0)
    return max(ranks, evidence.spread_ms)


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
