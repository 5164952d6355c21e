"""What must hold in every moment, whatever happens: looked at as things happen, collected in ``broken``."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from millpond.api.names import RETIRE_ANNOTATION
from millpond.clock import from_rfc3339
from millpond.control.observe import objects
from millpond.control.observe.objects import Pod

from memory.patches import Raw
from memory.routers import Router
from memory.server import Server


@dataclass
class Promises:
    server: Server
    routers: list[Router]
    floor: dict[str, int] = field(default_factory=dict)
    """Of each app, so many servers that live get requests from each router, at any moment."""
    victims: int = 1
    """Servers of an app that may be on their way out at once."""
    broken: list[str] = field(default_factory=list)
    _read: dict[tuple[str, str], Pod] = field(default_factory=dict)

    def removal(self, raw: Raw) -> None:
        """A ReplicaSet deletes this pod: it must have been named, drained, and done; or never have had a request."""
        pod = objects.pod(raw)
        if pod.address is None or not any(pod.address in authority for authority in self._known()):
            return
        if any(router.routes_to(pod.address) for router in self.routers):
            self._say(f"{pod.name} is removed while routers send it requests")
        if pod.retire is None:
            self._say(f"{pod.name} is removed and was never named")
            return
        left = [r.in_flight.get(f"{pod.address}:8080", 0.0) for r in self.routers]
        if any(left) and self.server.clock() < pod.retire.deadline_s:
            self._say(f"{pod.name} is removed with requests in flight")

    def look(self) -> None:
        """Once everybody has done what was due."""
        alive = [p for p in self._pods() if p.address and not p.deleting]
        for router in self.routers:
            serving = Counter(p.app for p in alive if router.routes_to(p.address or ""))
            for app, least in self.floor.items():
                if serving[app] < least:
                    self._say(f"{app} has {serving[app]} servers at {router.name}, its floor is {least}")
        going = Counter(p.app for p in self._pods() if p.retire is not None and not p.deleting)
        for app, count in going.items():
            if count > self.victims:
                self._say(f"{app} has {count} victims at once")

    def _known(self) -> Iterator[str]:
        return (authority for router in self.routers for authority in router.in_flight)

    def _pods(self) -> list[Pod]:
        return [self._pod(raw) for raw in self.server.all("pods", selector="millpond.dev/app")]

    def _pod(self, raw: Raw) -> Pod:
        """Read once in each version."""
        key = raw["metadata"]["uid"], raw["metadata"]["resourceVersion"]
        if key not in self._read:
            self._read[key] = objects.pod(raw)
        return self._read[key]

    def _say(self, what: str) -> None:
        moment = self.server.clock() - from_rfc3339("2026-01-01T00:00:00Z")
        self.broken.append(f"at {moment:.1f} s {what}")


def named(server: Server) -> set[str]:
    """UIDs of pods that were ever told to retire."""
    history = (change.raw["metadata"] for change in server.history["pods"])
    return {meta["uid"] for meta in history if RETIRE_ANNOTATION in (meta.get("annotations") or {})}
