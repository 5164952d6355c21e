"""Caches of chosen namespaces that look like one cache. Each namespace may come, go and refuse us by itself.

A namespace that does not exist has nothing to tell, so the others go on without it. One that exists but has not told
everything yet is waited for: else a restarted operator would take its apps from the routers. One that refuses us (its
roles are missing) keeps nobody else waiting; what was known of it stays.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Generic, Self, TypeVar

from millpond.control.observe import grants
from millpond.control.observe.grants import Namespace
from millpond.kube import paths
from millpond.kube.cache import Reflector
from millpond.kube.client import Api, Object
from millpond.kube.errors import ApiError, NotFound

T = TypeVar("T")
Make = Callable[[str], Mapping[str, Reflector[Any]]]
log = logging.getLogger(__name__)


class Place:
    """One namespace: its caches, for as long as it exists."""

    LOOK_S = (2.0, 30.0)  # again after: while something is open; once it is watched

    def __init__(self, api: Api, namespace: str, make: Make, on_change: Callable[[], None]) -> None:
        """``make`` gives fresh caches of this namespace, by resource."""
        self.namespace = namespace
        self.caches: Mapping[str, Reflector[Any]] = {}
        self._api = api
        self._make = make
        self._on_change = on_change
        self.about: Namespace | None = None  # as it was read last; None: we may not, or did not yet
        self._absent = False
        self._passed_over = False  # it was absent, or refused us: nobody waits for it any more
        self._said = ""
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=f"namespace {self.namespace}")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self._leave()

    @property
    def synced(self) -> bool:
        """Everything in it is known."""
        return bool(self.caches) and all(c.store.synced for c in self.caches.values())

    @property
    def refused(self) -> str | None:
        """Why the API server does not let us read in it."""
        return next((c.refused for c in self.caches.values() if c.refused), None)

    @property
    def settled(self) -> bool:
        """Whether the others may be acted on: it is known, or nobody can wait for it."""
        return self.synced or self._passed_over or self.refused is not None

    @property
    def watched(self) -> bool:
        return self.synced and self.refused is None

    def described(self) -> str:
        if self._absent:
            return "does not exist: waits until somebody makes it"
        if self.refused is not None:
            return f"waits for its roles: {self.refused}"
        return "watched" if self.synced else "is being listed"

    async def _run(self) -> None:
        while True:
            await self._look()
            self._passed_over = self._passed_over or self._absent or self.refused is not None
            if self.described() != self._said:
                self._said = self.described()
                log.info("namespace %s: %s", self.namespace, self._said)
            await asyncio.sleep(self.LOOK_S[1] if self.watched else self.LOOK_S[0])

    async def _look(self) -> None:
        try:
            self._learn(grants.namespace(await self._api.get(paths.namespaces(self.namespace))))
        except NotFound:
            self._absent, self.about = True, None
            await self._leave()
            return
        except ApiError as error:
            if error.status != 403:  # may we not ask, then reading in it will tell
                log.warning("namespace %s: %s", self.namespace, error)
                return
        self._absent = False
        if not self.caches:
            self.caches = self._make(self.namespace)
            for cache in self.caches.values():
                cache.start()

    def _learn(self, about: Namespace) -> None:
        if about != self.about:
            self.about = about
            self._on_change()

    async def _leave(self) -> None:
        gone, self.caches = self.caches, {}
        for cache in gone.values():
            await cache.stop()
        if gone:
            self._on_change()


class Joint(Generic[T]):
    """One resource in several namespaces, read and written like a Reflector and its Store.

    A namespace is seen whole or not at all: nobody sees apps without the servers that they have.
    """

    def __init__(self, resource: str, places: Sequence[Place]) -> None:
        self._resource = resource
        self._places = {place.namespace: place for place in places}

    @property
    def store(self) -> Self:
        return self

    def items(self) -> Mapping[str, T]:
        found: dict[str, T] = {}
        for place in self._places.values():
            if place.synced:
                found |= place.caches[self._resource].store.items()
        return MappingProxyType(found)

    def own(self, obj: Object) -> None:
        """Take over what the API server answered to our own write."""
        place = self._places.get(obj["metadata"]["namespace"])
        if place is not None and place.caches:
            place.caches[self._resource].store.own(obj)


class PlaceWatch:
    """One cache of a namespace, for health: red when it is silent, but not when it is absent or refuses us."""

    def __init__(self, place: Place, resource: str) -> None:
        self._place = place
        self._resource = resource

    @property
    def synced(self) -> bool:
        cache = self._place.caches.get(self._resource)
        return cache is not None and cache.store.synced

    def age_s(self, now_s: float) -> float:
        cache = self._place.caches.get(self._resource)
        if cache is None or self._place.refused is not None:
            return 0.0
        return cache.store.age_s(now_s)


def watches(places: Collection[Place], resources: Collection[str]) -> dict[str, PlaceWatch]:
    return {f"{r} in {place.namespace}": PlaceWatch(place, r) for place in places for r in resources}
