"""Writes that go on beside the cycles, in lanes of their own: they take no turn from one that requests wait for.

Of what was offered and not begun when a later cycle offers anew for the same app, only the newer is written.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import partial
from typing import TypeAlias

from millpond.control.guard.faults import Faults
from millpond.control.guard.lanes import PER_NAMESPACE, lanes, namespace_of, next_keys

AT_ONCE = 8
Work: TypeAlias = Callable[[], Awaitable[object]]


class Beside:
    """``begin`` starts a cycle, ``offer`` says what it would have written."""

    def __init__(self, faults: Faults, *, at_once: int = AT_ONCE) -> None:
        self._faults, self._at_once = faults, at_once
        self._step = ""
        self._works: Mapping[str, Work] = {}
        self._waiting: dict[str, deque[str]] = {}
        self._going: dict[str, asyncio.Task[None]] = {}
        self._fresh: set[asyncio.Task[None]] = set()
        self._behind: set[str] = set()
        self._over: set[str] = set()

    @property
    def going(self) -> Collection[str]:
        """Apps that are being written."""
        return self._going.keys()

    @property
    def behind(self) -> Collection[str]:
        """Apps of which this cycle may not know what was written last."""
        return self._behind

    def begin(self) -> None:
        self._behind = set(self._going)
        self._fresh = set()

    def over(self) -> set[str]:
        """Apps whose write has ended, well or not, since this was asked last."""
        found, self._over = self._over, set()
        return found

    def offer(self, step: str, works: Mapping[str, Work], keep: Collection[str] = ()) -> None:
        """To be written as soon as it is their turn; of what was offered before, only apps of ``keep`` any more."""
        late = frozenset(key for lane in self._waiting.values() for key in lane)
        self._step, self._works = step, {k: self._works[k] for k in late if k in keep} | {**works}
        self._waiting = lanes((key for key in self._works if key not in self._going), late)
        self._begin_more()

    async def settle(self, patience_s: float, hurry: asyncio.Event | None = None) -> None:
        """Wait until what was begun in this cycle is done, but not when there is ``hurry``."""
        if not self._fresh:
            return
        late = asyncio.ensure_future(asyncio.sleep(patience_s))
        wanted = asyncio.ensure_future(hurry.wait()) if hurry is not None else None
        try:
            ends = {late, *((wanted,) if wanted is not None else ())}
            while self._fresh and not any(end.done() for end in ends):
                await asyncio.wait({*self._fresh, *ends}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            late.cancel()
            if wanted is not None:
                wanted.cancel()

    async def stop(self) -> None:
        self._waiting = {}
        tasks = list(self._going.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin_more(self) -> None:
        of = Counter(map(namespace_of, self._going))
        for key in next_keys(self._waiting, of, self._at_once - len(self._going), PER_NAMESPACE):
            task = asyncio.create_task(
                self._run(key, self._step, self._works[key]), name=f"{self._step} {key}"
            )
            self._going[key] = task
            self._fresh.add(task)
            self._behind.add(key)
            task.add_done_callback(partial(self._ended, key))

    def _ended(self, key: str, task: asyncio.Task[None]) -> None:
        self._fresh.discard(task)
        self._over.add(key)
        del self._going[key]
        self._begin_more()

    async def _run(self, key: str, step: str, work: Work) -> None:
        try:
            await work()
        except Exception as error:
            self._faults.failed(key, step, error)
