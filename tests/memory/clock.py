"""A clock that jumps: whoever sleeps in its event loop is woken at once, in the order of the deadlines."""

import asyncio
import selectors
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")
BORN, BORN_S = "2026-01-01T00:00:00Z", 1767225600.0


@dataclass
class Clock:
    """Epoch seconds, counted from BORN_S so that small steps are exact; moved on by the event loop alone."""

    passed_s: float = 0.0

    def __call__(self) -> float:
        return BORN_S + self.passed_s


class _Jumping(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> Any:
        """Nothing outside takes part, so whoever waits for something else than the time waits for ever."""
        if timeout is None:
            raise AssertionError("everybody waits, and nothing is due")
        self._clock.passed_s += max(0.0, timeout)
        return super().select(0)


class JumpingLoop(asyncio.SelectorEventLoop):
    def __init__(self, clock: Clock) -> None:
        super().__init__(_Jumping(clock))
        self._jumping = clock

    def time(self) -> float:
        return self._jumping.passed_s


def run(clock: Clock, work: Coroutine[Any, Any, T]) -> T:
    """The work's result; virtual hours take as long as what is done in them."""
    with asyncio.Runner(loop_factory=lambda: JumpingLoop(clock)) as runner:
        return runner.run(work)
