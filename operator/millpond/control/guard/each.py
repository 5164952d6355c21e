"""One step after another for all apps, and each app by itself: no app fails another or keeps it waiting.

Writes of one step go on side by side. Who is not done when the cycle's patience ends goes on in the background and is
left out of the next steps and cycles until then (its calls end, see `millpond.kube.client`). What was not begun is
dropped: the next cycle sees what is still to be done, and begins with it. New editions and status are written
beside all that (`millpond.control.guard.beside`).
"""

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from functools import partial
from typing import TypeAlias, TypeVar

from millpond.control.guard.beside import Beside
from millpond.control.guard.faults import Faults
from millpond.control.guard.lanes import PER_NAMESPACE, lanes, namespace_of, next_keys

T = TypeVar("T")
Work: TypeAlias = Callable[[], Awaitable[object]]

PATIENCE_S = 0.5  # for all steps of a cycle together,
LEAST_S = 0.05  # but so long for each
AT_ONCE = 32
MAKE_AT_ONCE = 16
TURNS = 4  # of the event loop: so many lead from an answer to the next request
MAKE_S = 0.1  # so long a cycle waits for new editions


class Each:
    """``begin`` starts a cycle; then any number of ``look`` (pure) and ``do`` (writes)."""

    def __init__(self, faults: Faults | None = None, *, patience_s: float = PATIENCE_S) -> None:
        self.faults = faults or Faults()
        self.making, self.telling = Beside(self.faults, at_once=MAKE_AT_ONCE), Beside(self.faults)
        self._patience_s = patience_s
        self._left_s = patience_s
        self._going: dict[str, asyncio.Task[None]] = {}
        self._left: set[str] = set()
        self._behind: set[str] = set()
        self._begun: set[str] = set()
        self._over: set[str] = set()
        self._put_off: dict[str, frozenset[str]] = {}  # step -> apps that were not begun the last time

    @property
    def busy(self) -> Collection[str]:
        """Apps with a write that goes on and that no step waits for."""
        return frozenset({*self._left, *self.making.going})

    @property
    def behind(self) -> Collection[str]:
        """Apps of which this cycle knows no more than what held before a write that it did not wait for."""
        return self._behind

    @property
    def put_off(self) -> Collection[str]:
        """Apps with a write that was not begun the last time that its step was done."""
        return frozenset().union(*self._put_off.values())

    @property
    def left_s(self) -> float:
        """What is left of the cycle's patience."""
        return max(self._left_s, LEAST_S)

    def begin(self, keys: Collection[str]) -> None:
        self.faults.begin(keys)
        self.making.begin()
        self.telling.begin()
        self._left_s = self._patience_s
        self._behind = {*self._left, *self.making.going}
        self._begun = set()

    def begun(self) -> set[str]:
        """Apps for which something was begun in this cycle since this was asked last."""
        found, self._begun = self._begun, set()
        return found

    def over(self) -> set[str]:
        """Apps with a write that has ended since this was asked last."""
        found, self._over = self._over | self.making.over() | self.telling.over(), set()
        return found

    async def breathe(self) -> None:
        """Take in what came while all apps were looked at: answers to writes, watches, acknowledgements, the Lease."""
        for _ in range(TURNS):
            await asyncio.sleep(0)

    def look(self, step: str, keys: Iterable[str], work: Callable[[str], T]) -> dict[str, T]:
        """``work(key)`` of each; who fails is missing."""
        found: dict[str, T] = {}
        for key in keys:
            try:
                found[key] = work(key)
            except Exception as error:
                self.faults.failed(key, step, error)
        return found

    async def do(self, step: str, works: Mapping[str, Work]) -> None:
        """Each app's work; returns when all is done, or when the patience has ended."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        deadline_s = began_s + self.left_s
        waiting = lanes((k for k in works if not self._taken(k)), self._put_off.get(step, frozenset()))
        running: dict[asyncio.Task[None], str] = {}
        try:
            while True:
                for key in self._next(waiting, running.values()):
                    running[self._start(key, step, works[key])] = key
                left_s = deadline_s - loop.time()
                if not running or left_s <= 0:
                    break
                done, _ = await asyncio.wait(running, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    del running[task]
        finally:
            for task, key in running.items():
                self._leave(key, task)
        self._put_off[step] = frozenset(key for lane in waiting.values() for key in lane)
        self._left_s -= loop.time() - began_s

    async def make(self, step: str, works: Mapping[str, Work], keep: Collection[str] = ()) -> None:
        """What takes long, beside the steps. Who is not done soon is left out of the next ones. What was offered and
        not begun before stands for the apps of ``keep``."""
        self.making.offer(step, {key: work for key, work in works.items() if key not in self._going}, keep)
        await self.making.settle(min(MAKE_S, self._patience_s))
        self._behind |= set(self.making.going)
        self._begun |= set(self.making.behind)

    async def alone(self, step: str, key: str, work: Work) -> bool:
        """This one work now, beside the steps of a cycle; False when a write of the app is under way."""
        if self._taken(key):
            return False
        task = self._start(key, step, work)
        self._leave(key, task)
        await asyncio.wait((task,), timeout=self._patience_s)
        return True

    async def stop(self) -> None:
        """End what goes on in the background."""
        tasks = [task for key, task in self._going.items() if key in self._left]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, self.making.stop(), self.telling.stop(), return_exceptions=True)

    def _taken(self, key: str) -> bool:
        return key in self._going or key in self.making.going

    def _next(self, waiting: Mapping[str, deque[str]], running: Collection[str]) -> list[str]:
        of = Counter(map(namespace_of, {*self._left, *running}))
        found = next_keys(waiting, of, AT_ONCE - len(running), PER_NAMESPACE)
        return [key for key in found if not self._taken(key)]  # begun beside this step meanwhile

    def _start(self, key: str, step: str, work: Work) -> asyncio.Task[None]:
        task = asyncio.create_task(self._run(key, step, work), name=f"{step} {key}")
        self._going[key] = task
        self._begun.add(key)
        task.add_done_callback(partial(self._ended, key))
        return task

    def _ended(self, key: str, task: asyncio.Task[None]) -> None:
        self._left.discard(key)
        self._over.add(key)
        if self._going.get(key) is task:
            del self._going[key]

    def _leave(self, key: str, task: asyncio.Task[None]) -> None:
        if not task.done():
            self._left.add(key)
            self._behind.add(key)

    async def _run(self, key: str, step: str, work: Work) -> None:
        try:
            await work()
        except Exception as error:
            self.faults.failed(key, step, error)
