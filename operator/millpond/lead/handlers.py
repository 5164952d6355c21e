"""kopf watches our four kinds and wakes the cycle. Nothing is decided, patched or finalised here.

kopf cancels whatever tasks it finds in its event loop when it ends, and takes over the signals of the main
thread: so it gets a thread and a loop of its own, and speaks to ours through thread-safe calls only.
"""

import asyncio
import contextlib
import re
import threading
from collections.abc import Callable, Collection
from typing import Any

import kopf
from kopf._cogs.clients import api as kopf_api
from kopf._cogs.structs.references import Insights, NamespaceName

from millpond.api.names import GROUP, PLURALS, VERSION
from millpond.kube.decode import decoded
from millpond.kube.login import Login

Wake = Callable[[str], None]


class _Json:
    """Reads what kopf watches. Its own reader ends at 1,000 levels, and with it kopf, by one tenant's object."""

    @staticmethod
    def loads(text: str) -> Any:
        return decoded(text.encode())


async def _get(url: str, **more: Any) -> Any:
    async with await kopf_api.request(method="get", url=url, **more) as response:
        return decoded(await response.read())


kopf_api.json = _Json  # type: ignore[assignment,attr-defined]
kopf_api.get = _get


def registry(wake: Wake, login: Login) -> kopf.OperatorRegistry:
    """Handlers that call ``wake("plural namespace/name")`` on every change of our kinds, also deletions."""
    handlers = kopf.OperatorRegistry()

    @kopf.on.login(registry=handlers)
    async def log_in(**_: Any) -> kopf.ConnectionInfo:
        return await connection(login)

    for plural in PLURALS.values():
        _listen(handlers, plural, wake)
    return handlers


def _listen(handlers: kopf.OperatorRegistry, plural: str, wake: Wake) -> None:
    @kopf.on.event(GROUP, VERSION, plural, registry=handlers, id=f"wake-{plural}")
    async def changed(namespace: str | None, name: str, **_: Any) -> None:
        wake(f"{plural} {namespace}/{name}" if namespace else f"{plural} {name}")


async def connection(login: Login) -> kopf.ConnectionInfo:
    """The same credentials as the cycle's, in kopf's words."""
    found = await login.configuration()
    scheme, _, token = (found.api_key.get("BearerToken") or "").partition(" ")
    return kopf.ConnectionInfo(
        server=found.host,
        ca_path=found.ssl_ca_cert,
        insecure=not found.verify_ssl,
        scheme="Bearer" if scheme.lower() == "bearer" else (scheme or None),
        token=token or None,
        certificate_path=found.cert_file,
        private_key_path=found.key_file,
    )


def settings() -> kopf.OperatorSettings:
    """Deadlines on everything, no events posted, nothing written on our objects."""
    chosen = kopf.OperatorSettings()
    watching, network, process = chosen.watching, chosen.networking, chosen.process
    watching.server_timeout, watching.client_timeout = 240, 300
    watching.connect_timeout, watching.inactivity_timeout = 5, 70
    watching.reconnect_backoff, watching.chunk_size = 1, 500
    network.connect_timeout, network.request_timeout = 5, 15
    network.error_backoffs = [0.5, 1, 2, 4, 8] + [15] * 20  # kopf ends when these are used up: five minutes
    chosen.persistence.finalizer = "millpond.dev/finalizer"
    chosen.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix="millpond.dev")
    chosen.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix="millpond.dev")
    chosen.posting.enabled = False
    chosen.posting.loggers = False
    chosen.queueing.error_delays = [1, 2, 5, 10, 30, 60]
    chosen.scanning.disabled = True
    process.ultimate_exiting_timeout = None  # the operator's own end decides
    return chosen


class KopfThread:
    """Runs kopf in a thread. When it ends without being asked to, `alive` is False and `ended` raises."""

    def __init__(self, wake: Wake, login: Login, namespaces: Collection[str] = ()) -> None:
        """``namespaces``: those that `follow` may name; none: all, and nothing needs to be named."""
        """``wake`` is called in the event loop that calls `start`."""
        self._wake = wake
        self._login = login
        self._namespaces = frozenset(namespaces)
        self._followed: frozenset[str] = frozenset()
        self._insights: Insights | None = None
        self._stopping = False
        self._kopfs_loop: asyncio.AbstractEventLoop | None = None
        self._stop = (
            asyncio.Event()
        )  # lives in kopf's loop: a threading.Event would keep its thread from ending
        self._ended = asyncio.Event()
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, args=(loop,), name="kopf", daemon=True)
        self._thread.start()

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        def tell(what: Callable[..., object], *arguments: object) -> None:
            with contextlib.suppress(RuntimeError):  # the other loop is closed: nobody listens any more
                loop.call_soon_threadsafe(what, *arguments)

        try:
            asyncio.run(self._operate(registry(lambda what: tell(self._wake, what), self._login)))
        except BaseException as error:  # reported by `ended`, whatever it was
            self._error = error
        finally:
            tell(self._ended.set)

    async def _operate(self, handlers: kopf.OperatorRegistry) -> None:
        self._kopfs_loop = asyncio.get_running_loop()
        self._insights = Insights()
        # As a pattern, because kopf takes a name to be there, and ends when it cannot watch it for long.
        pattern = re.compile("|".join(map(re.escape, sorted(self._namespaces))))
        following = asyncio.create_task(self._tell_followed())
        if not self._stopping:
            await kopf.operator(
                registry=handlers,
                settings=settings(),
                insights=self._insights,
                clusterwide=not self._namespaces,
                namespaces=[pattern] if self._namespaces else (),
                standalone=True,
                stop_flag=self._stop,
            )
        following.cancel()

    def follow(self, namespaces: Collection[str]) -> None:
        """Of the chosen namespaces, watch exactly these: the others do not exist, or refuse us."""
        if not self._namespaces or self._followed == frozenset(namespaces):
            return
        self._followed = frozenset(namespaces)
        loop = self._kopfs_loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended already
                asyncio.run_coroutine_threadsafe(self._tell_followed(), loop)

    async def _tell_followed(self) -> None:
        """In kopf's loop, once it has looked around: what it is told before it forgets."""
        insights = self._insights
        if insights is None or not self._namespaces:
            return
        await insights.ready_namespaces.wait()
        async with insights.revised:
            insights.namespaces.clear()
            insights.namespaces.update(map(NamespaceName, self._followed))
            insights.revised.notify_all()

    @property
    def alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive() and not self._ended.is_set()

    async def ended(self) -> None:
        """Returns when kopf was stopped, raises RuntimeError when it ended by itself."""
        await self._ended.wait()
        if not self._stopping:
            raise RuntimeError(f"kopf has ended: {self._error or 'without an error'}") from self._error

    async def stop(self) -> None:
        self._stopping = True
        if self._kopfs_loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended already
                self._kopfs_loop.call_soon_threadsafe(self._stop.set)
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, 10.0)
