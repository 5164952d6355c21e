"""Users with a session: each keeps its cookies, visits again and again, and leaves for good after a while."""

import random
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookies import Morsel

PACE_S = 1.0


@dataclass(slots=True)
class Visitor:
    """One session. Its visits come one after the other, so the server's count of them rises by one each."""

    name: str
    leaves_s: float
    """When it stops coming, in seconds since the load began."""
    cookies: dict[str, str] = field(default_factory=dict)
    editions: set[str] = field(default_factory=set)
    visits: int = 0
    """As the server counted them in its latest answer."""
    forgotten: int = 0
    """How often a server did not know the session any more."""

    @property
    def cookie_header(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())

    @property
    def moved(self) -> bool:
        return len(self.editions) > 1

    def keep(self, cookies: Mapping[str, "Morsel[str]"]) -> None:
        """The cookies of an answer, as they came (a router's may be quoted)."""
        for name, morsel in cookies.items():
            if morsel["max-age"] == "0":
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = morsel.coded_value

    def saw(self, edition: str, visits: int) -> bool:
        """Whether the server did not know the session any more: then it counts from 1 again."""
        self.editions.add(edition)
        anew = visits <= self.visits
        self.forgotten += anew
        self.visits = visits
        return anew


class Visitors:
    """All of them. A session lasts from half of `session_s` to all of it."""

    def __init__(self, session_s: float, seed: int) -> None:
        self._session_s = session_s
        self._source = random.Random(seed)
        self._idle: deque[tuple[float, Visitor]] = deque()  # (since when, who), in this order
        self.all: list[Visitor] = []

    def next(self, now_s: float) -> Visitor:
        """Who comes now: whoever has been away for the longest, if that is long enough; else somebody new."""
        while self._idle and self._idle[0][0] + PACE_S <= now_s:
            _, visitor = self._idle.popleft()
            if now_s < visitor.leaves_s:
                return visitor
        leaves_s = now_s + self._session_s * self._source.uniform(0.5, 1.0)
        self.all.append(visitor := Visitor(f"s{len(self.all) + 1}", leaves_s))
        return visitor

    def back(self, visitor: Visitor, now_s: float) -> None:
        """It has its answer and may come again."""
        self._idle.append((now_s, visitor))
