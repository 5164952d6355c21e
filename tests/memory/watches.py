"""Caches that follow the API server in memory, each as far behind as it is told to be."""

from dataclasses import dataclass, field
from math import inf
from typing import Any

from millpond.kube.cache import Reflector

from memory.patches import Raw, copied, selected
from memory.server import Change, Server


@dataclass
class Follower:
    """Of one resource. ``behind_s``: changes younger than that have not come yet."""

    server: Server
    resource: str
    selector: str | None = None
    behind_s: float = 0.0
    told: int = 0
    """How many of the changes were delivered."""

    def deliver(self, most: int | None = None) -> list[tuple[str, Raw]]:
        """What is due now, at most so many changes; without a number, whatever ``behind_s`` lets through."""
        history = self.server.history[self.resource]
        due = history[self.told :]
        if most is None:
            until_s = self.server.clock() - self.behind_s if self.behind_s else inf
            due = [change for change in due if change.at_s <= until_s]
        else:
            due = due[:most]
        self.told += len(due)
        return [seen for change in due if (seen := self._take(change)) is not None]

    def _take(self, change: Change) -> tuple[str, Raw] | None:
        return change.seen(self.selector)


@dataclass
class Cache(Follower):
    """The objects by "namespace/name", as a controller of Kubernetes has them: the same values, not to be changed."""

    items: dict[str, Raw] = field(default_factory=dict)

    def fork(self, server: Server) -> "Cache":
        return Cache(server, self.resource, self.selector, self.behind_s, self.told, dict(self.items))

    def deliver(self, most: int | None = None) -> list[tuple[str, Raw]]:
        news = super().deliver(most)
        for what, raw in news:
            key = f"{raw['metadata'].get('namespace', '')}/{raw['metadata']['name']}"
            if what == "DELETED":
                self.items.pop(key, None)
            else:
                self.items[key] = raw
        return news


_KEPT_RAW = ("elasticapps", "editions", "slapolicies", "dynamicpools")  # as the operator keeps them


@dataclass
class Feed(Follower):
    """A Reflector of the operator that is not run, but fed."""

    reflector: Any = None

    def start(self) -> None:
        """LIST: of now; or, of a cache that has followed all along and lags, what it holds by now."""
        history, store = self.server.history[self.resource], self.reflector.store
        if not self.behind_s:
            found = (r for r in self.server.all(self.resource) if selected(r, self.selector))
            store.replace(list(store.trimmed(copied(r) for r in found)), self.server.version)
            self.told = len(history)
            return
        store.replace([], 0)
        self.deliver()

    def deliver(self, most: int | None = None) -> list[tuple[str, Raw]]:
        news = super().deliver(most)
        for what, raw in news:
            self.reflector.store.apply(what, copied(raw) if self.resource in _KEPT_RAW else raw)
        return news


def feed(server: Server, resource: str, reflector: Reflector[Any]) -> Feed:
    return Feed(server=server, resource=resource, selector=reflector._selector, reflector=reflector)
