"""What became of each request of a traffic: one line of JSON each."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from millpond.demo.requests.tally import Outcome, Totals


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    id: str
    t_s: float
    """When it was due, in seconds since the load began."""
    took_s: float
    """From then to its outcome."""
    outcome: Outcome
    status: int = 0
    """HTTP status; 0 without an answer."""
    server: str = ""
    edition: str = ""
    session: str = ""
    """Empty: a request without a session."""
    forgotten: bool = False
    """The server did not know the session that an earlier answer had begun or gone on with."""
    mismatch: str = ""
    """What in the answer does not belong to the request; empty: nothing."""

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        found = json.loads(text)
        return cls(**{**found, "outcome": Outcome(found["outcome"])})


def read_answers(path: Path) -> Sequence[Answer]:
    return [Answer.from_json(line) for line in path.read_text().splitlines()]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficTotals(Totals):
    sessions: int = 0
    moved: int = 0
    """Sessions that more than one edition answered."""
    forgotten: int = 0
    """Sessions whose server did not know them any more."""
    mismatches: int = 0
    """Good answers that belong to another request or a body of another length."""

    @property
    def sound(self) -> bool:
        """Sessions that lost their server do not count: whether that had to be, only the caller knows."""
        return not (self.failed or self.moved or self.mismatches)

    def to_json(self) -> str:
        counts = json.loads(super(TrafficTotals, self).to_json())
        ours = {name: getattr(self, name) for name in ("sessions", "moved", "forgotten", "mismatches")}
        return json.dumps({**counts, "failed": self.failed, **ours})
