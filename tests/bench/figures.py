"""What a benchmark says: one line of the table."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """``goal`` and ``reached`` in ``unit``; less is better."""

    what: str
    goal: float
    reached: float
    unit: str
