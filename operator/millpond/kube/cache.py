"""What the API server holds, kept up to date: LIST replaces all, WATCH follows, nothing dead lingers."""

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import aclosing
from types import MappingProxyType
from typing import Any, Generic, TypeAlias, TypeVar

from millpond.clock import Clock, steady_s
from millpond.kube.client import Api, Object
from millpond.kube.errors import ApiError, Forbidden, Gone, Unavailable

T = TypeVar("T")
Trimmed: TypeAlias = tuple[str, int, T]  # key, resourceVersion, what is kept
log = logging.getLogger(__name__)


def key_of(obj: Object) -> str:
    """namespace/name, or the name alone of a cluster-wide object."""
    meta = obj["metadata"]
    return f"{meta['namespace']}/{meta['name']}" if meta.get("namespace") else str(meta["name"])


def version_of(obj: Object) -> int:
    """The resourceVersion as a number: Kubernetes promises that they are ordered within one resource."""
    return int(obj["metadata"]["resourceVersion"])


class Store(Generic[T]):
    """The objects of one resource as `keep` trimmed them, by key. Written by a Reflector and by `own`."""

    def __init__(self, keep: Callable[[Object], T], clock: Clock = steady_s) -> None:
        self.synced = False
        self._keep = keep
        self._clock = clock
        self._items: dict[str, T] = {}
        self._versions: dict[str, int] = {}
        self._seen = 0  # the watch has told everything up to this version
        self._alive_s = clock()
        self._unread: set[str] = set()

    def items(self) -> Mapping[str, T]:
        return MappingProxyType(self._items)

    def get(self, key: str) -> T | None:
        return self._items.get(key)

    def age_s(self, now_s: float) -> float:
        """Seconds since the API server last proved that it tells us of changes. ``now_s``: same clock."""
        return now_s - self._alive_s

    def own(self, obj: Object) -> None:
        """Take over what the API server answered to our own write, in case the watch is late.

        Ignored when the watch is already past it: then the object may have changed again, or be gone.
        """
        if version_of(obj) > max(self._seen, self._versions.get(key_of(obj), 0)):
            self._put(obj)

    def prove_alive(self) -> None:
        self._alive_s = self._clock()

    @property
    def unread(self) -> int:
        """Objects that cannot be read at all: they stay as they were read last, or are left out."""
        return len(self._unread)

    def trim(self, obj: Object) -> Trimmed[T]:
        return key_of(obj), version_of(obj), self._keep(obj)

    def trimmed(self, objects: Iterable[Object]) -> Iterator[Trimmed[T]]:
        """Each by itself: one that cannot be read takes no other with it."""
        for obj in objects:
            try:
                key, version = key_of(obj), version_of(obj)
            except (KeyError, TypeError, ValueError, AttributeError):
                self._note("an object without a name")
                continue
            try:
                yield key, version, self._keep(obj)
                self._unread.discard(key)
            except Exception:  # whatever is wrong with it
                self._note(key)
                if key in self._items:
                    yield key, version, self._items[key]

    def _note(self, key: str) -> None:
        """Said once, until it can be read again."""
        if key not in self._unread:
            self._unread.add(key)
            log.exception("%s cannot be read: it stays as it was", key)

    def replace(self, listed: list[Trimmed[T]], version: int) -> None:
        """The answer of a LIST: what is not in it is gone, unless our own write is newer than the list."""
        newer = [(key, own, self._items[key]) for key, own in self._versions.items() if own > version]
        self._items = {key: kept for key, _, kept in (*listed, *newer)}
        self._versions = {key: at for key, at, _ in (*listed, *newer)}
        self._seen = version
        self.synced = True
        self.prove_alive()

    def apply(self, event: str, obj: Object) -> bool:
        """One line of a WATCH; True when something changed for the reader."""
        self.prove_alive()
        self._seen = max(self._seen, version_of(obj))
        if event == "BOOKMARK":
            return False
        key, known = key_of(obj), self._versions.get(key_of(obj), 0)
        if event == "DELETED" and version_of(obj) >= known:
            self._unread.discard(key)
            self._versions.pop(key, None)
            self._items.pop(key, None)
            return known > 0
        if version_of(obj) <= known:
            return False
        self._put(obj)
        return True

    def _put(self, obj: Object) -> None:
        for key, version, kept in self.trimmed([obj]):
            self._items[key] = kept
            self._versions[key] = version


class Reflector(Generic[T]):
    """Keeps a Store equal to what the API server holds, whatever happens to the connection."""

    BACK_OFF_S = (0.5, 15.0)

    def __init__(
        self,
        api: Api,
        path: str,
        label_selector: str | None = None,
        *,
        keep: Callable[[Object], T],
        on_change: Callable[[], None] = lambda: None,
        clock: Clock = steady_s,
        field_selector: str | None = None,
        watch_s: float = 50.0,
        grace_s: float = 10.0,
    ) -> None:
        """``watch_s``: a watch is renewed after about this long; ``grace_s`` later it counts as stuck."""
        self.store: Store[T] = Store(keep, clock)
        self.path = path
        self.relists = 0
        self.refused: str | None = None  # why we may not read, as the API server said it
        self._api = api
        self._selector = label_selector
        self._fields: dict[str, Any] = {"field_selector": field_selector} if field_selector else {}
        self._on_change = on_change
        self._watch_s = watch_s
        self._grace_s = grace_s
        self._version: str | None = None  # to watch from; None: list first
        self._delay_s = 0.0
        self._listed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=f"reflector {self.path}")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def wait_synced(self) -> None:
        """Returns when the first LIST has come; until then the store is empty and means nothing."""
        await self._listed.wait()

    async def _run(self) -> None:
        while True:
            try:
                await self._list_if_needed()
                await self._follow()
            except Gone:
                self._version = None
                await self._back_off()
            except ApiError as error:
                self.refused = str(error) if isinstance(error, Forbidden) else self.refused
                log.warning("watch of %s: %s", self.path, error)
                await self._back_off()
            except Exception:  # an object we cannot read: stay alive, but let health see that we are behind
                log.exception("watch of %s", self.path)
                self._version = None
                await self._back_off()

    async def _list_if_needed(self) -> None:
        if self._version is not None:
            return
        listed: list[Trimmed[T]] = []
        version = ""
        async for page in self._api.pages(self.path, self._selector, **self._fields):
            listed += self.store.trimmed(page.objects)
            version = page.version
        self.store.replace(listed, int(version))
        self._version, self.refused = version, None
        self.relists += 1
        self._listed.set()
        self._on_change()

    async def _follow(self) -> None:
        """One watch from its start to its regular end."""
        assert self._version is not None
        watch_s = self._watch_s * random.uniform(0.8, 1.0)
        before_s = steady_s()
        events = self._api.watch(
            self.path, self._version, watch_s, self._selector, self._grace_s, **self._fields
        )
        async with aclosing(events):
            async for event, obj in events:
                self._take(event, obj)
        self.store.prove_alive()
        self.refused = None
        if steady_s() - before_s < min(1.0, watch_s / 2):
            raise Unavailable("it ended at once")
        self._delay_s = 0.0

    def _take(self, event: str, obj: Object) -> None:
        if event == "ERROR":
            self._version = None  # whatever it was: start afresh
            raise _watch_error(obj)
        self._delay_s = 0.0
        self._version, self.refused = str(obj["metadata"]["resourceVersion"]), None
        if self.store.apply(event, obj):
            self._on_change()

    async def _back_off(self) -> None:
        first_s, most_s = self.BACK_OFF_S
        self._delay_s = min(most_s, max(first_s, self._delay_s * 2))
        await asyncio.sleep(self._delay_s * random.uniform(0.7, 1.0))


def _watch_error(status: dict[str, Any]) -> ApiError:
    said = f"the server ended the watch: {status.get('message', status)}"
    return Gone(said, 410) if status.get("code") == 410 else Unavailable(said, int(status.get("code") or 0))
