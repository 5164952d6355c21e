"""Which routers may be serving: noted at the Lease by who leads, so that a successor knows whom to wait for."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

_MOST = 1500
"""So many fit into an annotation with ease."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Roster:
    """Names, statistics addresses and UIDs of pods ("": none is known). ``final``: written at the orderly end of who
    led, so that none is missing."""

    routers: tuple[tuple[str, str, str], ...] = ()
    final: bool = False

    def dump(self) -> str:
        kept = self.routers[:_MOST]
        return json.dumps({"final": self.final and kept == self.routers, "routers": sorted(kept)})


def roster(routers: Iterable[tuple[str, str, str]], *, final: bool) -> Roster:
    return Roster(routers=tuple(routers), final=final)


def load(text: str | None) -> Roster:
    """Of an empty or a strange text: nobody is known, and there may be others."""
    try:
        raw = json.loads(text or "{}")
        listed = raw.get("routers", [])
        if not all(isinstance(router, list) for router in listed):
            return Roster()
        found = tuple((name, stats, uid) for name, stats, uid in listed)
        if not all(isinstance(part, str) for router in found for part in router):
            return Roster()
        return Roster(routers=found[:_MOST], final=raw.get("final") is True)
    except (ValueError, TypeError, AttributeError, RecursionError):
        return Roster()
