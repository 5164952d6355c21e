"""A thin client of the API server: paths and JSON, no model classes, no call without a deadline."""

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias
from urllib.parse import urlencode

import msgspec
from aiohttp import ClientError, ClientResponse, ClientTimeout
from kubernetes.aio.client import ApiClient, Configuration

from millpond.clock import steady_s
from millpond.kube import paths
from millpond.kube.decode import decoded
from millpond.kube.errors import Unavailable, error_for
from millpond.kube.login import Login

Object: TypeAlias = dict[str, Any]
Body: TypeAlias = Object | list[Object]  # a list: a JSON patch
PatchKind: TypeAlias = Literal["merge", "json", "strategic", "apply"]

FIELD_MANAGER = "millpond"
CONNECT_S = 5.0
TOTAL_S = 15.0
ATTEMPTS = 4
_BACK_OFF_S = 0.25  # doubled after each attempt
_LOGIN_CHECK_S = 5.0
_RETRIED = frozenset({500, 502, 503, 504})  # asking again is harmless: reads, patches, deletes
_REFUSED = frozenset({401, 429})  # answered before anything was done: even a create may be repeated
_CONTENT_TYPES: Mapping[str, str] = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}


class Page(NamedTuple):
    """Part of a LIST, and the resourceVersion to watch from when all parts are read."""

    objects: list[Object]
    version: str


def _nothing(verb: str, resource: str) -> None:
    pass


class Api:
    """One connection pool to the API server. Every call ends within 15 s, its retries included.

    429 is obeyed by all calls together (Retry-After), 5xx is retried for reads, patches and deletes, a token
    is read again when its file changes or the server refuses it. Raises the errors of `millpond.kube.errors`.
    """

    def __init__(
        self,
        kubeconfig: Path | None = None,
        *,
        context: str | None = None,
        on_write: Callable[[str, str], None] = _nothing,
    ) -> None:
        """``kubeconfig`` None: in-cluster; ``context`` None: its current one. ``on_write(verb, resource)`` is told
        of every write sent."""
        self.login = Login(kubeconfig, context)
        self._on_write = on_write
        self._client: ApiClient | None = None
        self._login_lock = asyncio.Lock()
        self._login_checked_s = 0.0
        self._login_stamps: Mapping[Path, int] = {}
        self._not_before_s = 0.0

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def get(self, path: str) -> Object:
        return await self._call("GET", path)

    async def list(self, path: str, label_selector: str | None = None, limit: int = 500) -> Page:
        """All objects, and the resourceVersion to watch from."""
        listed = Page([], "")
        async for page in self.pages(path, label_selector, limit):
            listed = Page(listed.objects + page.objects, page.version)
        return listed

    async def pages(
        self,
        path: str,
        label_selector: str | None = None,
        limit: int = 500,
        *,
        field_selector: str | None = None,
    ) -> AsyncGenerator["Page"]:
        """The same page by page, for those who keep little of each object; raises Gone when it takes too long."""
        query = {"limit": str(limit), **_selected(label_selector, field_selector)}
        while True:
            page = await self._call("GET", path, query)
            yield Page(page.get("items") or [], str(page["metadata"]["resourceVersion"]))
            query["continue"] = page["metadata"].get("continue", "")
            if not query["continue"]:
                return

    async def create(self, path: str, body: Object, *, dry_run: bool = False) -> Object:
        query = {"fieldManager": FIELD_MANAGER, **_dry(dry_run)}
        return await self._call("POST", path, query, body)

    async def patch(
        self,
        path: str,
        body: Body,
        *,
        kind: PatchKind = "merge",
        field_manager: str = FIELD_MANAGER,
        dry_run: bool = False,
    ) -> Object:
        query = {"fieldManager": field_manager, **_dry(dry_run)}
        if kind == "apply":
            query["force"] = "true"
        return await self._call("PATCH", path, query, body, _CONTENT_TYPES[kind])

    async def delete(self, path: str, *, uid: str | None = None, propagation: str = "Background") -> Object:
        """Delete one object; with ``uid``, only if it still is that very object (else Conflict)."""
        body: Object = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": propagation}
        if uid is not None:
            body["preconditions"] = {"uid": uid}
        return await self._call("DELETE", path, None, body)

    async def watch(
        self,
        path: str,
        resource_version: str,
        timeout_s: float,
        label_selector: str | None = None,
        grace_s: float = 10.0,
        name: str | None = None,
        *,
        field_selector: str | None = None,
    ) -> AsyncGenerator[tuple[str, Object]]:
        """(type, object) for each change; ends when the server ends it, Unavailable when it fell silent.

        The server is asked to end the watch after ``timeout_s``; ``grace_s`` later it counts as stuck.
        ``name``: of this object alone.
        """
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(max(1, round(timeout_s))),
            **_selected(label_selector, f"metadata.name={name}" if name else field_selector),
        }
        timeout = ClientTimeout(total=timeout_s + grace_s, sock_connect=CONNECT_S)
        async with self._send("GET", path, query, None, "", timeout) as response:
            if response.status == 401:
                await self._log_in(force=True)
            if response.status != 200:
                raise error_for(response.status, _decoded(await response.read()), f"watch {path}")
            async for line in _lines(response):
                event = decoded(line)
                yield event["type"], event["object"]

    async def _call(
        self,
        verb: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Body | None = None,
        content_type: str = "application/json",
    ) -> Object:
        try:
            async with asyncio.timeout(TOTAL_S):
                return await self._attempts(verb, path, query or {}, body, content_type)
        except TimeoutError as error:
            raise Unavailable(f"{verb} {path}: no answer within {TOTAL_S:.0f} s") from error

    async def _attempts(
        self, verb: str, path: str, query: Mapping[str, str], body: Any, content_type: str
    ) -> Object:
        for attempt in range(1, ATTEMPTS + 1):
            await self._wait_for_turn()
            status, headers, content = await self._once(verb, path, query, body, content_type)
            if status < 300:
                return dict(content)
            again = status in _REFUSED or (status in _RETRIED and verb != "POST")
            if status == 429 and _of_webhook(content):
                again = False  # a tenant's own answer: not the API server's word that all calls should rest
            if not again or attempt == ATTEMPTS:
                raise error_for(status, content, f"{verb} {path}")
            await self._before_retry(status, headers, attempt)
        raise AssertionError("unreachable")

    async def _once(
        self, verb: str, path: str, query: Mapping[str, str], body: Any, content_type: str
    ) -> tuple[int, Mapping[str, str], Any]:
        if verb != "GET" and "dryRun" not in query:
            self._on_write(verb.lower(), paths.resource(path))
        timeout = ClientTimeout(total=TOTAL_S, sock_connect=CONNECT_S)
        async with self._send(verb, path, query, body, content_type, timeout) as response:
            content = await response.read()
            return response.status, response.headers, await _elsewhere(content)

    async def _wait_for_turn(self) -> None:
        delay_s = self._not_before_s - steady_s()
        if delay_s > 0:
            await asyncio.sleep(delay_s * random.uniform(1.0, 1.1))  # not all at the same instant

    async def _before_retry(self, status: int, headers: Mapping[str, str], attempt: int) -> None:
        back_off_s = _BACK_OFF_S * 2 ** (attempt - 1)
        if status == 401:
            await self._log_in(force=True)
        elif status == 429:
            self._not_before_s = steady_s() + _retry_after_s(headers, back_off_s)
        else:
            await asyncio.sleep(back_off_s * random.uniform(0.5, 1.5))

    @asynccontextmanager
    async def _send(
        self,
        verb: str,
        path: str,
        query: Mapping[str, str],
        body: Any,
        content_type: str,
        timeout: ClientTimeout,
    ) -> AsyncIterator[ClientResponse]:
        client = await self._log_in()
        headers = {"Accept": "application/json", "Content-Type": content_type or "application/json"}
        headers |= {s["key"]: s["value"] for s in (await client.configuration.auth_settings()).values()}
        url = client.configuration.host + path + (f"?{urlencode(query)}" if query else "")
        response: ClientResponse | None = None
        try:
            answer = await client.rest_client.request(verb, url, headers, body, _request_timeout=timeout)
            response = answer.response
            yield answer.response
        except TimeoutError as error:
            raise Unavailable(f"{verb} {path}: no answer within {timeout.total} s") from error
        except (ClientError, OSError, msgspec.DecodeError) as error:
            raise Unavailable(f"{verb} {path}: {error or type(error).__name__}") from error
        finally:
            if response is not None:
                response.release()

    async def _log_in(self, *, force: bool = False) -> ApiClient:
        now = steady_s()
        if self._client is not None and not force and now - self._login_checked_s < _LOGIN_CHECK_S:
            return self._client
        async with self._login_lock:
            self._login_checked_s = now
            stamps = await self.login.stamps()
            if self._client is None or force or stamps != self._login_stamps:
                await self._use(await self.login.configuration())
                self._login_stamps = stamps
            assert self._client is not None
            return self._client

    async def _use(self, configuration: Configuration) -> None:
        """A new token is put into the running connections; anything else needs new ones."""
        old = self._client
        if old is not None and _tls(old.configuration) == _tls(configuration):
            old.configuration.api_key = configuration.api_key
            return
        self._client = ApiClient(configuration)
        if old is not None:
            await old.close()


def _tls(c: Configuration) -> tuple[object, ...]:
    files = [c.ssl_ca_cert, c.cert_file, c.key_file]
    return c.host, c.verify_ssl, c.tls_server_name, *files, *(f and Path(f).read_bytes() for f in files)


def _selected(labels: str | None, of_fields: str | None) -> dict[str, str]:
    found = {"labelSelector": labels, "fieldSelector": of_fields}
    return {name: selector for name, selector in found.items() if selector}


def _dry(dry_run: bool) -> Mapping[str, str]:
    return {"dryRun": "All", "fieldValidation": "Strict"} if dry_run else {}


def _decoded(content: bytes) -> Any:
    try:
        return decoded(content) if content else {}
    except msgspec.DecodeError:
        return {"message": content[:200].decode(errors="replace")}


async def _elsewhere(content: bytes) -> Any:
    """Decoded; where that takes long (a page with an object that nests too deep), it holds up nobody else."""
    try:
        return msgspec.json.decode(content) if content else {}
    except (msgspec.DecodeError, RecursionError):
        return await asyncio.to_thread(_decoded, content)


def _retry_after_s(headers: Mapping[str, str], otherwise_s: float) -> float:
    text = headers.get("Retry-After", "")
    return min(float(text), TOTAL_S) if text.isdecimal() else otherwise_s


def _of_webhook(content: Any) -> bool:
    message = content.get("message") if isinstance(content, dict) else None
    return isinstance(message, str) and message.startswith("admission webhook ")


async def _lines(response: ClientResponse) -> AsyncIterator[bytes]:
    rest = b""
    async for chunk in response.content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line:
                yield line
