"""One step after another for all apps, and each app by itself: no app fails another or keeps it waiting.

Writes of one step go on side by side. Who is not done when the cycle's patience ends goes on in the background and is
left out of the next steps and cycles until then (its calls end, see `millpond.kube.client`). What was not begun is
dropped: the next cycle sees what is still to be done, and begins with it.
"""

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import TypeAlias, TypeVar

from millpond.control.guard.faults import Faults

T = TypeVar("T")
Work: TypeAlias = Callable[[], Awaitable[object]]

PATIENCE_S = 0.5  # for all steps of a cycle together,
LEAST_S = 0.05  # but so long for each
AT_ONCE = 32
PER_NAMESPACE = 4  # also of what goes on in the background


def namespace_of(key: str) -> str:
    return key.partition("/")[0]


class Each:
    """``begin`` starts a cycle; then any number of ``look`` (pure) and ``do`` (writes)."""

    def __init__(self, faults: Faults | None = None, *, patience_s: float = PATIENCE_S) -> None:
        self.faults = faults or Faults()
        self._patience_s = patience_s
        self._left_s = patience_s
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._put_off: dict[str, frozenset[str]] = {}  # step -> apps that were not begun the last time

    @property
    def busy(self) -> Collection[str]:
        """Apps with a write that goes on since an earlier step or cycle."""
        return self._busy.keys()

    def begin(self, keys: Collection[str]) -> None:
        self.faults.begin(keys)
        self._left_s = self._patience_s

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
        deadline_s = began_s + max(self._left_s, LEAST_S)
        lanes = self._lanes(step, works)
        running: dict[asyncio.Task[None], str] = {}
        try:
            while True:
                self._start(step, lanes, works, running)
                left_s = deadline_s - loop.time()
                if not running or left_s <= 0:
                    break
                done, _ = await asyncio.wait(running, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    del running[task]
        finally:
            for task, key in running.items():
                self._leave(key, task)
        self._put_off[step] = frozenset(key for lane in lanes.values() for key in lane)
        self._left_s -= loop.time() - began_s

    async def stop(self) -> None:
        """End what goes on in the background."""
        tasks = list(self._busy.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._busy.clear()

    def _lanes(self, step: str, works: Mapping[str, Work]) -> dict[str, deque[str]]:
        """By namespace, so that none waits for a big one; who had to wait the last time is first."""
        late = self._put_off.get(step, frozenset())
        lanes: dict[str, deque[str]] = defaultdict(deque)
        for key in sorted(works, key=lambda key: key not in late):
            if key not in self._busy:
                lanes[namespace_of(key)].append(key)
        return lanes

    def _start(
        self,
        step: str,
        lanes: Mapping[str, deque[str]],
        works: Mapping[str, Work],
        running: dict[asyncio.Task[None], str],
    ) -> None:
        """One of each namespace in turn, as many as may run now; the others stay in their lanes."""
        of = Counter(map(namespace_of, (*self._busy, *running.values())))
        began = True
        while began:
            began = False
            for namespace, lane in lanes.items():
                if not lane or of[namespace] >= PER_NAMESPACE or len(running) >= AT_ONCE:
                    continue
                key, began = lane.popleft(), True
                of[namespace] += 1
                running[asyncio.create_task(self._run(key, step, works[key]), name=f"{step} {key}")] = key

    def _leave(self, key: str, task: asyncio.Task[None]) -> None:
        if task.done():
            return
        self._busy[key] = task
        task.add_done_callback(lambda _: self._busy.pop(key, None))

    async def _run(self, key: str, step: str, work: Work) -> None:
        try:
            await work()
        except Exception as error:
            self.faults.failed(key, step, error)
