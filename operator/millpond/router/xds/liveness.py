"""Whether a router that is cut off from the operator may still serve: how it answers, and what else is known of it.

One that refuses connections at its statistics address has ended. One that answers there by HTTP serves, whatever became
of its stream. One that does neither hangs or has vanished, or only the way to it is cut: then Kubernetes' view of its
pod decides, and without a pod the time.
"""

import asyncio
import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

_PATIENCE_S = 1.0
_LONGEST_STEP_S = 3.0
"""Of one look after the other. If more time passed, we were stopped, and know nothing of it."""


class Sign(Enum):
    """What a router gives at its statistics address."""

    REFUSES = "refuses connections"
    ANSWERS = "answers by HTTP"
    SILENT = "is silent"


class Presence(Enum):
    """What Kubernetes says of a router's pod."""

    UNSEEN = "no pod of it is known"
    HERE = "its pod is ready"
    DOUBTFUL = "its pod is not ready or its node is lost"
    GONE = "its pod is gone"


Presences: TypeAlias = Callable[[str, str], Presence]
"""By a router's name and the address of its statistics."""


def unseen(name: str, stats: str) -> Presence:
    """Where routers are no pods."""
    return Presence.UNSEEN


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """For how long a silent router counts as maybe serving, in seconds. One whose pod is ready does so for ever."""

    unseen_s: float = 60.0
    doubtful_s: float = 10.0

    def with_(self, presence: Presence) -> float:
        limits = {Presence.UNSEEN: self.unseen_s, Presence.DOUBTFUL: self.doubtful_s, Presence.GONE: 0.0}
        return limits.get(presence, math.inf)


@dataclass(slots=True)
class Silence:
    """How long a router has been silent, as far as somebody listened."""

    seconds: float = 0.0
    _looked_s: float | None = None

    def saw(self, sign: Sign, now_s: float) -> None:
        """``now_s``: on a steady clock."""
        before_s, self._looked_s = self._looked_s, now_s
        if sign is not Sign.SILENT:
            self.seconds = 0.0
        elif before_s is not None:
            self.seconds += min(now_s - before_s, _LONGEST_STEP_S)


async def look(stats: str) -> Sign:
    """Ask for a path that isn't there: a worker says so by itself. Takes a second at most."""
    try:
        async with asyncio.timeout(_PATIENCE_S):
            return await _ask(stats)
    except ConnectionRefusedError:
        return Sign.REFUSES
    except (OSError, TimeoutError, ValueError):
        return Sign.SILENT


async def _ask(stats: str) -> Sign:
    host, _, port = stats.rpartition(":")
    reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    try:
        writer.write(f"HEAD / HTTP/1.1\r\nhost: {stats}\r\nconnection: close\r\n\r\n".encode())
        return Sign.ANSWERS if (await reader.read(5)) == b"HTTP/" else Sign.SILENT
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            writer.transport.abort()
