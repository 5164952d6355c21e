"""What others ask a node over HTTPS: logs, metrics, health. Callers show a certificate of the client CA."""

import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

from aiohttp import web

from millpond.clock import from_rfc3339
from millpond.local.node.config import Serving
from millpond.local.node.containers import logs
from millpond.local.node.containers.container import ContainerRunner
from millpond.local.node.containers.logtimes import LogKeeper, LogTimes, stamped
from millpond.local.node.figures import cadvisor
from millpond.local.node.figures.usage import Usage
from millpond.local.node.host import Host
from millpond.local.node.pods.pod import PodRunner
from millpond.local.node.state import write_atomically

_UNSUPPORTED = ("exec", "attach", "portForward", "run", "cri")


class Server:
    """Serves on the node's address; without certificates only /healthz, over plain HTTP."""

    def __init__(self, host: Host, pods: Mapping[str, PodRunner], usage: Usage, keeper: LogKeeper) -> None:
        self._config, self._clock = host.config, host.clock
        self._pods, self._usage, self._keeper = pods, usage, keeper
        self._runner: web.AppRunner | None = None

    async def start(self) -> int:
        """The port."""
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        if self._config.serving:
            app.router.add_get("/metrics/cadvisor", self._metrics)
            app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", self._logs)
            for verb in _UNSUPPORTED:
                app.router.add_route("*", f"/{verb}/{{rest:.*}}", self._refuse)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        tls = _tls(self._config.serving) if self._config.serving else None
        await self._listen(self._runner, tls)
        port: int = self._runner.addresses[0][1]
        write_atomically(self._port_file, str(port).encode())
        return port

    async def _listen(self, runner: web.AppRunner, tls: ssl.SSLContext | None) -> None:
        """On the port of the last time, which scrapers know; on any other when somebody has it now."""
        last = int(self._port_file.read_text()) if self._port_file.exists() else 0
        try:
            await web.TCPSite(runner, self._config.address, last, ssl_context=tls).start()
        except OSError:
            await web.TCPSite(runner, self._config.address, 0, ssl_context=tls).start()

    @property
    def _port_file(self) -> Path:
        return self._config.state_dir / "port"

    async def stop(self) -> None:
        if self._runner:
            await self._runner.cleanup()

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def _metrics(self, _: web.Request) -> web.Response:
        self._usage.measure()
        return web.Response(text=cadvisor.exposition(self._pods.values(), self._usage.of))

    async def _refuse(self, request: web.Request) -> web.Response:
        verb = request.path.split("/")[1]
        return web.Response(
            status=501, text=f"a process node does not support {verb}: its pods are processes\n"
        )

    async def _logs(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        container = self._find(**request.match_info)
        run = container.newest_run - (query.get("previous") == "true")
        file = container.log(run)
        if not file.exists():
            raise web.HTTPBadRequest(text=f"container {container.state.name!r} has no output of that run\n")
        answer = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await answer.prepare(request)
        async for block in self._output(file, query, lambda: container.runs(run)):
            await answer.write(block)
        await answer.write_eof()
        return answer

    def _output(
        self, file: Path, query: Mapping[str, str], growing: Callable[[], bool]
    ) -> AsyncIterator[bytes]:
        self._keeper.note()
        times, begin = LogTimes(file), 0
        if since := _since_s(query, self._clock()):
            begin = times.offset_since(since)
        if "tailLines" in query:
            begin = max(begin, logs.tail(file, int(query["tailLines"])))
        limit = int(query["limitBytes"]) if "limitBytes" in query else None
        following = growing if query.get("follow") == "true" else None
        blocks = logs.read(file, begin, limit_bytes=limit, follow=following)
        return stamped(blocks, begin, times, self._clock) if query.get("timestamps") == "true" else blocks

    def _find(self, namespace: str, pod: str, container: str) -> ContainerRunner:
        for runner in self._pods.values():
            if (runner.view.namespace, runner.view.name) == (namespace, pod):
                for each in (*runner.init, *runner.containers):
                    if each.state.name == container:
                        return each
        raise web.HTTPNotFound(text=f"container {container!r} of pod {namespace}/{pod} is not on this node\n")


def _since_s(query: Mapping[str, str], now_s: float) -> float | None:
    if "sinceSeconds" in query:
        return now_s - int(query["sinceSeconds"])
    return from_rfc3339(query["sinceTime"]) if "sinceTime" in query else None


def _tls(serving: Serving) -> ssl.SSLContext:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(serving.client_ca))
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.load_cert_chain(serving.cert, serving.key)
    return tls
