"""Who may speak on the line between operator and routers, and that new certificates cost no request."""

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import grpc
import pytest
from click.testing import CliRunner

from millpond.cli.run.router import router as router_command
from millpond.clock import now_s
from millpond.router.process.envoy import RouterProcess
from millpond.router.trust.authority import Lives, Signed, Trust, router_identity
from millpond.router.trust.tls import ServerTls, plain_allowed
from millpond.router.xds.control import RouterControl

from router.renewal import end, ends, mount, requests
from router.world import Answer, World, app, free_port
from waiting import eventually

integration = pytest.mark.integration
NAMESPACE = "millpond-system"
NAMES = ("localhost", "127.0.0.1")
DAY_S = 86_400.0
LIVES = Lives()
EXPORT = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
STREAM = "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources"


@pytest.mark.parametrize(
    ("xds", "may"),
    [
        ("unix:/run/xds", True),
        ("127.0.0.1:1", True),
        ("[::1]:1", True),
        ("localhost:1", True),
        ("0.0.0.0:1", False),
        ("[::]:1", False),
        ("10.0.0.1:1", False),
        ("xds.example:1", False),
        (":1", False),
    ],
)
def test_only_addresses_of_this_machine_do_without_tls(xds: str, may: bool) -> None:
    assert plain_allowed(xds) is may


async def test_an_operator_does_not_listen_for_others_without_tls() -> None:
    with pytest.raises(ValueError, match="routers need TLS"):
        await RouterControl(listen="0.0.0.0:0", clock=now_s).start()


def test_a_router_says_what_is_wrong_with_its_way_to_the_operator(tmp_path: Path) -> None:
    def said(*options: str) -> str:
        fixed = ["--name", "r", "--listen", "127.0.0.1:1", "--stats", "127.0.0.1:2"]
        result = CliRunner().invoke(router_command, [*fixed, *options])
        assert result.exit_code == 2
        return " ".join(result.output.split())

    assert "--tls-dir is needed" in said("--xds", "xds.example:18000")
    assert "a unix socket has no TLS" in said("--xds", "unix:/x", "--tls-dir", str(tmp_path))
    (tmp_path / "ca.crt").touch()
    tls = ("--xds", "xds.example:1", "--tls-dir", str(tmp_path))
    assert "has no tls.crt, tls.key" in said(*tls)
    trust = Trust.new(now_s(), LIVES)
    leaves = [trust.for_router(NAMESPACE, now_s(), LIVES) for _ in range(2)]
    (tmp_path / "tls.crt").write_bytes(leaves[0].certificate)
    (tmp_path / "tls.key").write_bytes(leaves[1].key)
    assert "the key does not belong to the certificate" in said(*tls)
    (tmp_path / "tls.key").write_bytes(leaves[0].key)
    assert "the authorities' certificates are not readable as PEM" in said(*tls)


# -- real connections


@dataclass
class Line:
    """An operator that listens on TCP with TLS, and routers with folders of certificates."""

    world: World
    trust: Trust = field(default_factory=lambda: Trust.new(now_s(), LIVES))
    age_s: float = 3600.0

    async def start(self, shown: Signed | None = None) -> None:
        self.tls = ServerTls(client=router_identity(NAMESPACE), connection_age_s=self.age_s)
        self.tls.use(shown or self.server(), self.trust.bundle)
        self.world.control = RouterControl(listen="127.0.0.1:0", clock=now_s, reunion_s=0.0, tls=self.tls)
        await self.world.control.start()
        self.world.on_end(self.world.control.stop)

    @property
    def port(self) -> int:
        return int(self.world.control.address.rpartition(":")[2])

    def server(self) -> Signed:
        return self.trust.for_server(NAMES, now_s(), LIVES)

    def leaf(self) -> Signed:
        return self.trust.for_router(NAMESPACE, now_s(), LIVES)

    def folder(self, name: str = "r1") -> Path:
        return self.world.folder / f"{name}-tls"

    def mount(self, leaf: Signed | None = None, trusted: bytes | None = None) -> None:
        mount(self.folder(), leaf or self.leaf(), self.trust.bundle if trusted is None else trusted)

    def router(self, *, host: str = "localhost", tls: bool = True) -> RouterProcess:
        router = RouterProcess(
            name="r1",
            xds=f"{host}:{self.port}",
            listen=f"127.0.0.1:{free_port()}",
            stats=f"127.0.0.1:{free_port()}",
            folder=self.world.folder / "r1",
            tls=self.folder() if tls else None,
        )
        router.start()

        async def end() -> None:
            router.kill()

        self.world.on_end(end)
        return router

    async def until_said(self, router: RouterProcess, *words: str) -> None:
        """Until Envoy has written that its stream failed, for one of these reasons."""
        log = router.folder / "envoy.log"

        async def said() -> bool:
            return any(word in log.read_text() for word in words)

        await eventually(said, 10, f"the router says one of {words}")


@pytest.fixture
async def line(world: World) -> Line:
    line = Line(world)
    await line.start()
    return line


def _expired(line: Line) -> Signed:
    return line.trust.for_router(NAMESPACE, now_s() - 2 * DAY_S, Lives(leaf_s=DAY_S))


def _strangers(line: Line) -> Signed:
    return Trust.new(now_s(), LIVES).for_router(NAMESPACE, now_s(), LIVES)


def _operators(line: Line) -> Signed:
    return line.server()


def _of_another_namespace(line: Line) -> Signed:
    return line.trust.for_router("default", now_s(), LIVES)


REFUSED = [
    pytest.param(_strangers, id="of another authority"),
    pytest.param(_expired, id="expired"),
    pytest.param(_operators, id="the operator's"),
    pytest.param(_of_another_namespace, id="of a router of another namespace"),
]


@integration
@pytest.mark.parametrize("host", NAMES)
async def test_a_router_with_its_certificate_gets_its_routes(line: Line, host: str) -> None:
    server = await line.world.server("one")
    line.mount()
    router = line.router(host=host)
    await line.world.settled(app(server.endpoint))
    assert (await line.world.get(router)).text == "one"
    await line.world.collected(lambda c: c.complete and "shop/cart/v1" in c.editions, "telemetry comes in")


@integration
@pytest.mark.parametrize("leaf", REFUSED)
async def test_a_router_with_a_wrong_certificate_gets_nothing_until_it_has_the_right_one(
    world: World, leaf: Callable[[Line], Signed]
) -> None:
    line = Line(world, age_s=1.0)
    await line.start()
    server = await world.server("one")
    await world.publish(app(server.endpoint))
    line.mount(leaf(line))
    router = line.router(host="127.0.0.1")
    await line.until_said(router, "connection termination", "only for spiffe")
    assert world.control.routers() == ()
    assert not router.ready()
    line.mount()
    await world.settled(app(server.endpoint))
    assert (await world.get(router)).text == "one"


@integration
async def test_a_router_without_tls_gets_nothing(line: Line) -> None:
    router = line.router(tls=False)
    await line.until_said(router, "gRPC config stream")
    assert line.world.control.routers() == ()
    assert not router.ready()


@integration
@pytest.mark.parametrize(
    "shown",
    [
        pytest.param(lambda line: Trust.new(now_s(), LIVES).for_server(NAMES, now_s(), LIVES), id="stranger"),
        pytest.param(lambda line: line.trust.for_server(["other"], now_s(), LIVES), id="other name"),
        pytest.param(lambda line: line.leaf(), id="a router"),
        pytest.param(
            lambda line: line.trust.for_server(NAMES, now_s() - 2 * DAY_S, Lives(leaf_s=DAY_S)), id="expired"
        ),
    ],
)
async def test_a_router_does_not_listen_to_a_false_operator(
    world: World, shown: Callable[[Line], Signed]
) -> None:
    line = Line(world)
    await line.start(shown(line))
    line.mount()
    router = line.router(host="127.0.0.1")
    await line.until_said(router, "CERTIFICATE_VERIFY_FAILED", "verify SAN list", "verification failed")
    assert world.control.routers() == ()
    assert not router.ready()
    line.tls.use(line.server(), line.trust.bundle)
    await world.settled(app())


@integration
async def test_statistics_say_until_when_a_routers_own_certificate_is_good(world: World) -> None:
    line = Line(world)
    await line.start()
    leaf = line.leaf()
    line.mount(leaf)
    router = line.router()
    await world.settled(app())
    await world.serving(router)
    assert (await ends(world, router, "cluster"))["identity"] == end(leaf)


async def _call(line: Line, leaf: Signed | None, method: str) -> grpc.StatusCode:
    pair = (leaf.key, leaf.certificate) if leaf is not None else ()
    credentials = grpc.ssl_channel_credentials(line.trust.bundle, *pair)
    return await _code(grpc.aio.secure_channel(f"localhost:{line.port}", credentials), method)


async def _code(channel: grpc.aio.Channel, method: str) -> grpc.StatusCode:
    async with channel:
        try:
            if method == EXPORT:
                await channel.unary_unary(method)(b"", timeout=5)
            else:
                await channel.stream_stream(method)(timeout=5).read()
        except grpc.aio.AioRpcError as error:
            return error.code()
    return grpc.StatusCode.OK


@integration
@pytest.mark.parametrize("method", [EXPORT, STREAM])
async def test_both_services_are_for_routers_only(line: Line, method: str) -> None:
    denied, unavailable = grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAVAILABLE
    assert await _call(line, _of_another_namespace(line), method) is denied
    for wrong in (None, _strangers(line), _expired(line), _operators(line)):
        assert await _call(line, wrong, method) is unavailable
    assert await _code(grpc.aio.insecure_channel(f"127.0.0.1:{line.port}"), method) is unavailable
    assert await _call(line, line.leaf(), EXPORT) is grpc.StatusCode.OK


@integration
async def test_files_that_are_replaced_one_after_the_other_are_taken_up_when_they_fit(world: World) -> None:
    line = Line(world, age_s=1.0)
    await line.start()
    folder = line.folder()
    folder.mkdir()

    async def replace_files(leaf: Signed) -> None:
        right = {"tls.crt": leaf.certificate, "tls.key": leaf.key, "ca.crt": line.trust.bundle}
        for name, content in right.items():
            (folder / f"{name}.new").write_bytes(content)
            (folder / f"{name}.new").rename(folder / name)
            await asyncio.sleep(0.1)

    await replace_files(line.leaf())
    router = line.router(host="127.0.0.1")
    await world.settled(app())
    line.trust = Trust.new(now_s(), LIVES)
    line.tls.use(line.server(), line.trust.bundle)
    await line.until_said(router, "CERTIFICATE_VERIFY_FAILED")
    await replace_files(line.leaf())
    server = await world.server("one")
    await world.settled(app(server.endpoint))
    assert (await world.get(router)).text == "one"


@integration
async def test_new_certificates_and_a_new_authority_cost_no_request(world: World) -> None:
    """Connections live for a second at most, so every stage is met by new ones. Routes change all the time."""
    line = Line(world, age_s=0.5)
    await line.start()
    servers = [await world.server(f"s{n}") for n in range(2)]
    line.mount()
    router = line.router()
    await world.settled(app(servers[0].endpoint))
    changes = itertools.cycle([servers[1], servers[0]])

    async def lives_on() -> None:
        """Over several connections, and with new routes that are acknowledged."""
        end_s = asyncio.get_running_loop().time() + 1.6
        while asyncio.get_running_loop().time() < end_s:
            server = next(changes)
            await world.settled(app(server.endpoint))
            assert (await world.get(router)).text == server.name
            await asyncio.sleep(0.1)

    async def both(trust: Trust, *, server_first: bool) -> None:
        line.trust = trust
        line.tls.use(line.server(), trust.bundle) if server_first else line.mount()
        await lives_on()
        line.mount() if server_first else line.tls.use(line.server(), trust.bundle)
        await lives_on()

    async with requests(lambda: world.get(router), 100) as answers:
        await lives_on()
        for server_first in (True, False):
            at_s = now_s()
            await both(replace(line.trust, since_s=at_s), server_first=server_first)
            await both(announced := line.trust.after(at_s, LIVES, wanted=True), server_first=server_first)
            await both(promoted := announced.after(at_s + 3600, LIVES), server_first=server_first)
            await both(promoted.after(at_s + 100 * DAY_S, LIVES), server_first=server_first)
    failed = [a for a in answers if not isinstance(a, Answer) or a.status != 200]
    assert failed == []
    assert len(answers) > 1500
    assert world.control.routers()[0].connected
    assert router.alive
