"""Waiting for the end of a rollout: by watching, through broken watches, and never longer than allowed."""

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Protocol

from millpond.api.approval import granted
from millpond.cli.releases import Releases, said
from millpond.cli.rollout.outcome import Exit, Outcome, judge
from millpond.clock import steady_s
from millpond.kube.client import Object
from millpond.kube.errors import ApiError
from millpond_policies.world.release import Needs

TICK_S = 1.0
GUARD_S = 3.0  # so much after the deadline nothing is left to wait for


class View(Protocol):
    """Who watches us wait."""

    def show(self, told: Outcome) -> None:
        """Called at each change, and once a second."""


async def now(releases: Releases, app: Object | None = None) -> Outcome:
    """How the rollout stands; ``app``: as it was just read."""
    app = await releases.read() if app is None else app
    told = judge(app)
    if told.needs != Needs.APPROVE:
        return told
    edition = await releases.edition(str(told.edition))
    return judge(app, approved=edition is not None and granted(edition, app) is not None)


@dataclass(slots=True)
class Wait:
    """One wait; `last` is what was known last, and is there whenever the wait is cut off."""

    releases: Releases
    timeout_s: float
    for_people: bool
    """Go on waiting while a person is waited for."""
    view: View
    last: Outcome
    _trouble: str = ""
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _began_s: float = field(default_factory=steady_s)

    async def run(self) -> Outcome:
        """The final outcome, or that it is still going on when the time is up. Raises what the first look raises."""
        following = asyncio.create_task(self._follow())
        try:
            while not following.done() and (left_s := self._began_s + self.timeout_s - steady_s()) > 0:
                self.view.show(self.last)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), min(TICK_S, left_s))
                self._news.clear()
            if following.done():
                return following.result()
            return self.timed_out()
        finally:
            following.cancel()
            await asyncio.wait({following}, timeout=TICK_S)

    async def _follow(self) -> Outcome:
        async with aclosing(self.releases.follow(self._note_trouble)) as apps:
            async for app in apps:
                self.last, self._trouble = await self._judged(app), ""
                self._news.set()
                if self._ends(self.last):
                    return self.last
        raise AssertionError("unreachable")

    async def _judged(self, app: Object) -> Outcome:
        try:
            return await now(self.releases, app)
        except ApiError as error:  # only whether it is approved could not be asked
            self._note_trouble(error)
            return judge(app)

    def _ends(self, told: Outcome) -> bool:
        return told.exit is not Exit.GOING_ON and not (told.exit is Exit.PERSON and self.for_people)

    def _note_trouble(self, error: ApiError) -> None:
        self._trouble = said(error)
        self.last = replace(self.last, message=f"no news: {self._trouble}")
        self._news.set()

    def timed_out(self) -> Outcome:
        text = f"not done within {self.timeout_s:g} s: {self.last.message}".rstrip(": ")
        return replace(self.last, exit=Exit.GOING_ON, message=text)


@contextlib.contextmanager
def guarded(timeout_s: float, at_end: Callable[[], None]) -> Iterator[None]:
    """Ends the program with 124 when even the event loop hangs: a name server or a disk that does not answer.

    ``at_end`` says the last word; it runs in another thread.
    """
    over = threading.Event()

    def watch() -> None:
        due_s = steady_s() + timeout_s + GUARD_S
        while (left_s := due_s - steady_s()) > 0:
            if over.wait(min(left_s, TICK_S)):
                return
        at_end()
        os._exit(int(Exit.GOING_ON))

    threading.Thread(target=watch, name="deadline", daemon=True).start()
    try:
        yield
    finally:
        over.set()
