"""What an application is to achieve."""

from dataclasses import dataclass
from enum import StrEnum


class GoalKind(StrEnum):
    AVERAGE = "averageResponseTime"
    PERCENTILE = "percentileResponseTime"
    DISCRETIONARY = "discretionary"


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    kind: GoalKind
    target_ms: float | None = None  # None only for DISCRETIONARY
    percentile: float | None = None  # 1..99, only for PERCENTILE
