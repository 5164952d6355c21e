"""What `millpond.kube.client.Api` offers, against the API server in memory. One for each operator: it dies with it."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any

from millpond.kube.client import Page
from millpond.kube.errors import Unavailable

from memory.patches import Raw, copied, selected, where
from memory.server import Server

Heard = Callable[[str, str, Raw], None]  # verb, key, body


def _nobody(verb: str, key: str, body: Raw) -> None:
    pass


class Client:
    """``before`` and ``after`` are told of each write of the operator, and may end it (`die`)."""

    TOTAL_S = 15.0

    def __init__(self, server: Server, *, before: Heard = _nobody, after: Heard = _nobody) -> None:
        self.server = server
        self.before, self.after = before, after
        self.dead = asyncio.Event()

    def die(self) -> None:
        """No call is answered any more."""
        self.dead.set()

    async def get(self, path: str) -> Raw:
        await self._turn()
        return copied(self.server.get(path))  # type: ignore[no-any-return]

    async def list(self, path: str, label_selector: str | None = None, limit: int = 500) -> Page:
        await self._turn()
        resource, namespace, _, _ = where(path)
        found = self.server.all(resource, namespace, label_selector)
        return Page([copied(raw) for raw in found], str(self.server.version))

    async def pages(
        self, path: str, label_selector: str | None = None, limit: int = 500
    ) -> AsyncGenerator[Page]:
        yield await self.list(path, label_selector)

    async def create(self, path: str, body: Raw, *, dry_run: bool = False) -> Raw:
        resource, namespace, _, _ = where(path)
        key = f"{resource}/{namespace}/{body['metadata']['name']}"
        return await self._write(
            "create", path, key, body, lambda: self.server.create(path, body, dry_run=dry_run), dry_run
        )

    async def patch(
        self, path: str, body: Any, *, kind: str = "merge", dry_run: bool = False, **_: Any
    ) -> Raw:
        def work() -> Raw:
            return self.server.patch(path, body, kind=kind, dry_run=dry_run)

        return await self._write("patch", path, "/".join(where(path)[:3]), body, work, dry_run)

    async def delete(self, path: str, *, uid: str | None = None, propagation: str = "Background") -> Raw:
        key = "/".join(where(path)[:3])
        return await self._write("delete", path, key, {}, lambda: self.server.delete(path, uid=uid))

    async def _write(
        self, verb: str, path: str, key: str, body: Raw, work: Callable[[], Raw], dry_run: bool = False
    ) -> Raw:
        await self._turn()
        if self.server.hangs(path):
            await asyncio.sleep(self.TOTAL_S)
            raise Unavailable(f"{verb} {path}: no answer within {self.TOTAL_S:.0f} s")
        if not dry_run:
            self.before(verb, key, body)
            await self._turn()
        answer = copied(work())
        if not dry_run:
            self.server.writes.append((verb, key, copied(body)))
            self.after(verb, key, body)
            await self._turn()
        return answer  # type: ignore[no-any-return]

    async def _turn(self) -> None:
        """Others may run while a call is under way. The dead hear nothing."""
        await asyncio.sleep(0)
        if self.dead.is_set():
            await asyncio.get_running_loop().create_future()

    async def watch(
        self,
        path: str,
        resource_version: str,
        timeout_s: float,
        label_selector: str | None = None,
        grace_s: float = 10.0,
        name: str | None = None,
    ) -> AsyncGenerator[tuple[str, Raw]]:
        """(type, object) for each change; a bookmark at the end."""
        loop, version = asyncio.get_running_loop(), int(resource_version)
        resource, namespace, _, _ = where(path)
        ends_s = loop.time() + timeout_s
        while loop.time() < ends_s:
            await self._turn()
            for change in self.server.changes(resource, version):
                version, seen = change.version, change.seen(label_selector)
                meta = change.raw["metadata"]
                concerns = meta.get("namespace", "") == namespace or not namespace
                if seen is not None and concerns and name in (None, meta["name"]):
                    yield seen[0], copied(seen[1])
            await asyncio.sleep(0.01)
        yield "BOOKMARK", {"metadata": {"resourceVersion": str(max(version, self.server.version))}}


def listed(server: Server, resource: str, selector: str | None) -> list[Raw]:
    return [copied(raw) for raw in server.all(resource) if selected(raw, selector)]
