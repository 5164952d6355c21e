"""One router over its whole life, across streams: what it has acknowledged, and whether it may still be serving."""

import asyncio
import logging
import re
from collections.abc import Callable, Mapping, Sequence

from millpond.router.envoy.resources import Built, Resources
from millpond.router.xds.liveness import Patience, Presence, Presences, Sign, Silence, look
from millpond.router.xds.session import Rejected, Session
from millpond.router.xds.target import Board

log = logging.getLogger(__name__)
_PROBE_S = 0.5
_VIRTUAL_HOST = re.compile(r"VirtualHosts\[(\d+)\]")


class Router:
    """`name` is Envoy's node id; `stats` the address of its statistics, which is probed when it is cut off.

    `moved()` is told whenever it has acknowledged or refused a target.
    """

    def __init__(self, *, name: str, stats: str, board: Board, moved: Callable[[], None]) -> None:
        self.name, self.stats = name, stats
        self.session: Session | None = None
        self.settled = 0
        """The version of the target that it has acknowledged as a whole."""
        self._board, self._moved = board, moved
        self._has: Mapping[str, Built] = {}
        self._doubtful: set[str] = set()
        self._refuses: set[Built] = set()
        self._served = False
        self._unknown = False
        self.silence = Silence()

    @property
    def maybe_serving(self) -> bool:
        return self._served or (self.session is not None and self.session.routing)

    def serves(self, key: str, built: Built) -> bool:
        """Whether it has acknowledged this configuration of the app and was sent no other one since."""
        return not self._unknown and key not in self._doubtful and self._has.get(key) is built

    def remnants(self, published: Mapping[str, object]) -> set[str]:
        """Apps that it may still serve although they are published no more."""
        return {key for key in self._has if key not in published} | (self._doubtful - published.keys())

    async def follow(self, session: Session) -> None:
        """Keep it at the newest target for as long as its stream lives."""
        wake = asyncio.Event()
        self._board.listeners.add(wake)
        try:
            await session.join()
            if session.rejoined:
                self._unknown |= not self._served
                self._served = True
            while True:
                wake.clear()
                if self._board.target.version > self.settled:
                    await self._settle(session)
                    self._moved()
                await wake.wait()
        finally:
            self._board.listeners.discard(wake)

    def stranger(self) -> None:
        """It serves something that this operator knows nothing of."""
        self._served = self._unknown = True

    def joined(self, session: Session) -> None:
        """It has a new stream, on which nothing is acknowledged yet."""
        self.session, self.settled, self.silence = session, 0, Silence()

    def left(self, session: Session) -> None:
        """Its stream has ended."""
        self._served |= session.routing
        self.session, self.settled = None, 0

    async def _settle(self, session: Session) -> None:
        """Apply the newest target. After a refusal, halve what changed until one app is to blame; go on without it."""
        suspects = 0
        while True:
            target = self._board.target
            want = self._acceptable(target.resources)
            changed = [key for key, built in want.apps.items() if self._has.get(key) is not built]
            some = changed[: max(1, suspects // 2)] if suspects else changed
            whole = len(some) == len(changed)
            try:
                await self._apply(session, want if whole else self._with(some, want))
            except Rejected as refusal:
                await session.hush()
                suspects = self._blame(some, want, str(refusal))
                if not some:
                    return
            else:
                suspects -= len(some)
                if whole:
                    self.settled, self._unknown = target.version, False
                    return

    async def _apply(self, session: Session, trial: Resources) -> None:
        keys = self._has.keys() | trial.apps.keys()
        self._doubtful |= {key for key in keys if self._has.get(key) is not trial.apps.get(key)}
        await session.apply(trial)
        self._has, self._doubtful = trial.apps, set()
        self._board.accept(trial.apps)

    def _acceptable(self, resources: Resources) -> Resources:
        """Without what this very router has refused: another one may have taken it."""
        self._refuses &= set(resources.apps.values())
        if not self._refuses:
            return resources
        return Resources({key: built for key, built in resources.apps.items() if built not in self._refuses})

    def _with(self, some: Sequence[str], want: Resources) -> Resources:
        """What it has, changed only in some apps."""
        changed = {key: want.apps[key] for key in some}
        return Resources(
            changed | {k: b for k, b in self._has.items() if k in want.apps and k not in changed}
        )

    def _blame(self, some: Sequence[str], want: Resources, message: str) -> int:
        """Quarantine the app that is to blame; else answer among how many apps it must be."""
        culprit = some[0] if len(some) == 1 else _named(some, want, message)
        if culprit is None:
            log.warning("router %s refused a change of %d apps: %s", self.name, len(some), message)
            return len(some)
        log.warning("router %s refused %s, which stays as it was: %s", self.name, culprit, message)
        self._refuses.add(want.apps[culprit])
        self._board.refuse(culprit, want.apps[culprit], message)
        return 0

    async def wait_lost(self, presence: Presences, patience: Patience) -> str:
        """Returns why, once a router that is cut off serves nobody any more as far as anybody can know."""
        self.silence, clock = Silence(), asyncio.get_running_loop().time
        while True:
            seen = presence(self.name, self.stats)
            if seen is Presence.GONE:
                return str(seen.value)
            sign = await look(self.stats)
            if sign is Sign.REFUSES:
                return f"{self.stats} refuses connections"
            self.silence.saw(sign, clock())
            if self.silence.seconds >= patience.with_(seen):
                return f"{self.stats} has been silent for {self.silence.seconds:.0f} s, and {seen.value}"
            await asyncio.sleep(_PROBE_S)


def _named(some: Sequence[str], want: Resources, message: str) -> str | None:
    """The one app that Envoy's message speaks of: by cluster, virtual host (name or number), host or address."""
    numbers = [int(number) for number in _VIRTUAL_HOST.findall(message)]
    hosts = list(want.hosts)
    blamed = {hosts[number] for number in numbers if number < len(hosts)}
    found = [
        key for key in some if _speaks_of(want.apps[key], message) or blamed & want.apps[key].hosts.keys()
    ]
    return found[0] if len(found) == 1 else None


def _speaks_of(built: Built, message: str) -> bool:
    words = re.split(r"[\s'\",:;()]+", message)
    key = built.app.key
    return any(w in built.clusters or w in built.hosts or w in built.addresses or w == key for w in words)
