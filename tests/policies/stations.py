"""Servers of the simulated world: K slots with a queue before them, or a CPU that is shared."""

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

Schedule = Callable[[float, Callable[[], None]], None]  # (delay_s, what happens then)
Done = Callable[[], None]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What a server is made of. ``cpu_ms`` > 0: a shared CPU (after ``wait_ms``); else ``slots`` of ``service_ms``."""

    slots: int = 1
    service_ms: float = 100.0
    exponential: bool = False
    cpu_ms: float = 0.0
    wait_ms: float = 0.0
    cores: float = 1.0
    start_s: float = 1.5
    warm_s: float = 0.0  # at half speed

    @property
    def peak_rps(self) -> float:
        return 1000 * self.cores / self.cpu_ms if self.cpu_ms else 1000 * self.slots / self.service_ms


@dataclass
class Slots:
    """First come, first served, ``slots`` at a time."""

    slots: int
    schedule: Schedule
    queue: deque[tuple[float, Done]] = field(default_factory=deque)
    busy: int = 0

    def enter(self, work_s: float, done: Done) -> None:
        self.queue.append((work_s, done))
        self._next()

    def _next(self) -> None:
        while self.queue and self.busy < self.slots:
            work_s, done = self.queue.popleft()
            self.busy += 1

            def leave(done: Done = done) -> None:
                self.busy -= 1
                done()
                self._next()

            self.schedule(work_s, leave)


@dataclass
class Shared:
    """A CPU whose requests all advance at the same speed."""

    cores: float
    schedule: Schedule
    now: Callable[[], float]
    jobs: list[tuple[float, int, Done]] = field(default_factory=list)
    progress_s: float = 0.0  # CPU time that each request present since ever would have had
    changed_s: float = 0.0
    used_s: float = 0.0
    turn: int = 0

    def enter(self, work_s: float, done: Done) -> None:
        self._advance()
        self.turn += 1
        heapq.heappush(self.jobs, (self.progress_s + work_s, self.turn, done))
        self._plan()

    def _speed(self) -> float:
        return min(1.0, self.cores / len(self.jobs)) if self.jobs else 0.0

    def _advance(self) -> None:
        passed = self.now() - self.changed_s
        self.progress_s += passed * self._speed()
        self.used_s += passed * min(self.cores, len(self.jobs))
        self.changed_s = self.now()

    def _plan(self) -> None:
        if not self.jobs:
            return
        self.turn += 1
        turn = self.turn

        def leave() -> None:
            if turn != self.turn:
                return  # somebody came or went meanwhile
            self._advance()
            _, _, done = heapq.heappop(self.jobs)
            self._plan()
            self.turn += not self.jobs
            done()

        self.schedule(max(0.0, self.jobs[0][0] - self.progress_s) / self._speed(), leave)


def draw_s(ms: float, exponential: bool, rng: Random) -> float:
    return (rng.expovariate(1.0) if exponential else 1.0) * ms / 1000
