"""What a benchmark says: one line of the table. Whoever imports this finds the tests' own modules as well."""

import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """``goal`` and ``reached`` in ``unit``; less is better."""

    what: str
    goal: float
    reached: float
    unit: str
