"""TLS at the routers: which certificate a client sees, new ones, broken ones, and what goes through."""

import asyncio
import ssl
from datetime import datetime
from pathlib import Path

import aiohttp
import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from millpond.api.protocol import Protocol
from millpond.cli.run.router import router as router_command
from millpond.clock import now_s
from millpond.router.process.envoy import RouterProcess
from millpond.router.trust.authority import Lives, Signed, Trust
from millpond.router.trust.certificates import find

from router.grpcworld import COUNT, GrpcServer, channel, echo
from router.renewal import end, ends, mount, requests
from router.test_grpc import speaking
from router.test_streams import EVENTS, StreamServer
from router.world import HOST, World, app, free_port
from waiting import eventually

integration = pytest.mark.integration
LIVES = Lives()
OTHER = "other.test"
TRUST = Trust.new(now_s(), LIVES)


def issued(*names: str) -> Signed:
    return TRUST.for_server(names, now_s(), LIVES)


def put(folder: Path, **shown: Signed) -> Path:
    """A folder of certificates, each in one of its own."""
    folder.mkdir(exist_ok=True)
    for name, signed in shown.items():
        mount(folder / name, signed, b"")
    return folder


# -- what can be shown


Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


def _put_key(folder: Path, key: Key) -> None:
    """A certificate by itself with this key."""
    folder.mkdir(parents=True)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a.test")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(datetime(2020, 1, 1)).not_valid_after(datetime(2040, 1, 1))
    made = builder.sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())
    (folder / "tls.crt").write_bytes(made.public_bytes(Encoding.PEM))
    form = PrivateFormat.TraditionalOpenSSL if isinstance(key, rsa.RSAPrivateKey) else PrivateFormat.PKCS8
    (folder / "tls.key").write_bytes(key.private_bytes(Encoding.PEM, form, NoEncryption()))


@pytest.mark.parametrize(
    "key", [rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP384R1())], ids=["RSA", "EC"]
)
def test_certificates_of_the_usual_kinds_can_be_shown(tmp_path: Path, key: Key) -> None:
    _put_key(tmp_path / "a", key)
    assert find(tmp_path) == ([tmp_path / "a"], [])


@pytest.mark.parametrize(
    ("key", "says"),
    [
        pytest.param(
            rsa.generate_private_key(65537, 1024), "RSA with 1024 bits; at least 2048 are needed", id="RSA"
        ),
        pytest.param(
            ed25519.Ed25519PrivateKey.generate(), "neither RSA nor one of an elliptic curve", id="Ed25519"
        ),
        pytest.param(
            ec.generate_private_key(ec.SECP256K1()),
            "the curve secp256k1; P-256, P-384 or P-521 is needed",
            id="EC",
        ),
    ],
)
def test_a_key_that_envoy_would_refuse_is_told_before(tmp_path: Path, key: Key, says: str) -> None:
    _put_key(tmp_path / "a", key)
    good, (problem,) = find(tmp_path)
    assert good == []
    assert problem.startswith(f"{tmp_path}/a/tls.key: ")
    assert says in problem


def test_what_cannot_be_shown_is_told_by_its_file_and_leaves_the_others(tmp_path: Path) -> None:
    put(tmp_path, good=issued(HOST), key_gone=issued(HOST), no_pem=issued(HOST), bad_key=issued(HOST))
    put(tmp_path, mixed=Signed(issued(HOST).certificate, issued(HOST).key))
    (tmp_path / "..2030").mkdir()
    (tmp_path / "key_gone" / "tls.key").unlink()
    (tmp_path / "no_pem" / "tls.crt").write_text("-----BEGIN CERTIFICATE-----")
    (tmp_path / "bad_key" / "tls.key").write_text("secret")
    good, wrong = find(tmp_path)
    assert good == [tmp_path / "good"]
    assert wrong == [
        f"{tmp_path}/bad_key/tls.key: not readable as a private key in PEM",
        f"{tmp_path}/key_gone/tls.key: there is no such file; a Secret of type kubernetes.io/tls has it",
        f"{tmp_path}/mixed/tls.key: it does not belong to the first certificate in {tmp_path}/mixed/tls.crt",
        f"{tmp_path}/no_pem/tls.crt: not readable as a certificate in PEM",
    ]


def test_a_router_without_one_certificate_that_it_can_show_does_not_start(tmp_path: Path) -> None:
    def said(*options: str) -> str:
        fixed = ["--name", "r", "--xds", "unix:/x", "--listen", "127.0.0.1:1", "--stats", "127.0.0.1:2"]
        result = CliRunner().invoke(router_command, [*fixed, *options])
        assert result.exit_code == 2
        return " ".join(result.output.split())

    tls = ("--listen-tls", "127.0.0.1:3")
    assert "--listen-tls and --certificates need each other" in said(*tls)
    assert "--listen-tls and --certificates need each other" in said("--certificates", str(tmp_path))
    assert "has no folder with a tls.crt and a tls.key that fit" in said(
        *tls, "--certificates", str(tmp_path)
    )
    (tmp_path / "shop").mkdir()
    broken = said(*tls, "--certificates", str(tmp_path))
    assert (
        f"left out until the router is started again: {tmp_path}/shop/tls.crt: there is no such file"
        in broken
    )
    assert "-1 is not in the range" in said("--trusted-hops", "-1")


# -- real connections


def start(world: World, folder: Path, name: str = "r1") -> RouterProcess:
    good, _ = find(folder)
    return world.router(name, listen_tls=f"127.0.0.1:{free_port()}", certificates=good)


def client(*, alpn: str | None = None, newest: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=TRUST.bundle.decode())
    if newest is not None:
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        context.maximum_version = newest
        context.set_ciphers("ALL:@SECLEVEL=0")
    if alpn is not None:
        context.set_alpn_protocols([alpn])
    return context


def secure(router: RouterProcess) -> tuple[str, int]:
    assert router.edge.listen_tls is not None
    host, _, port = router.edge.listen_tls.rpartition(":")
    return host, int(port)


async def shown(router: RouterProcess, host: str | None) -> set[str]:
    """The names of the certificate that who asks for this host sees."""
    context = client()
    context.check_hostname = False
    _, writer = await asyncio.open_connection(*secure(router), ssl=context, server_hostname=host or "")
    pem = ssl.DER_cert_to_PEM_cert(writer.get_extra_info("ssl_object").getpeercert(binary_form=True))
    writer.close()
    names = x509.load_pem_x509_certificate(pem.encode()).extensions
    found = names.get_extension_for_class(x509.SubjectAlternativeName).value
    return set(found.get_values_for_type(x509.DNSName))


async def get(world: World, router: RouterProcess, host: str = HOST, path: str = "/") -> tuple[int, str]:
    """Over a connection of its own, and with a certificate that must be of this host."""
    connector = aiohttp.TCPConnector(ssl=client(), force_close=True)
    async with aiohttp.ClientSession(connector=connector) as session:
        url = "https://{}:{}{}".format(*secure(router), path)
        async with session.get(url, headers={"host": host}, server_hostname=host) as response:
            return response.status, await response.text()


@integration
async def test_a_client_sees_the_certificate_of_the_host_that_it_asks_for(world: World) -> None:
    folder = put(world.folder / "c", a=issued(HOST, "f*.test"), b=issued(OTHER, "*.wild.test"))
    server = await world.server("one")
    router = start(world, folder)
    await world.settled(app(server.endpoint, hosts=(HOST, OTHER, "x.wild.test")))
    await world.serving(router)
    for host in (HOST, OTHER, "x.wild.test"):
        assert await get(world, router, host) == (200, "one")
    assert await shown(router, OTHER) == {OTHER, "*.wild.test"}
    assert await shown(router, "nobody.test") == {HOST, "f*.test"}, "the first"
    assert await shown(router, None) == {HOST, "f*.test"}
    assert (await world.get(router)).text == "one", "plain text as before"


@integration
async def test_it_listens_by_tls_only_once_it_has_its_routes(world: World) -> None:
    router = start(world, put(world.folder / "c", a=issued(HOST)))
    await eventually(lambda: _true(router.admin.exists()), 10, "Envoy runs")
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*secure(router))
    await world.settled(app())
    await world.serving(router)
    assert (await get(world, router))[0] == 503


@integration
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
async def test_http2_is_agreed_and_old_versions_of_tls_are_refused(world: World) -> None:
    router = start(world, put(world.folder / "c", a=issued(HOST)))
    await world.settled(app())
    await world.serving(router)
    for alpn in ("h2", "http/1.1"):
        _, writer = await asyncio.open_connection(
            *secure(router), ssl=client(alpn=alpn), server_hostname=HOST
        )
        assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == alpn
        writer.close()
    old = client(newest=ssl.TLSVersion.TLSv1_1)
    with pytest.raises(ssl.SSLError):
        await asyncio.open_connection(*secure(router), ssl=old, server_hostname=HOST)
    current = client(newest=ssl.TLSVersion.TLSv1_2)
    _, writer = await asyncio.open_connection(*secure(router), ssl=current, server_hostname=HOST)
    writer.close()


@integration
@pytest.mark.parametrize("one_volume", [False, True], ids=["a volume for each", "one volume for all"])
async def test_a_renewed_certificate_is_taken_up_and_no_request_is_lost(
    world: World, one_volume: bool
) -> None:
    """Both ways in which Secrets come as files; connections are new all the time."""
    folder = world.folder / "c"
    renew = _one_volume if one_volume else put
    renew(folder, a=issued(HOST), b=issued(OTHER))
    server = await world.server("one")
    router = start(world, folder)
    await world.settled(app(server.endpoint))
    await world.serving(router)

    async def new_connection() -> int:
        return (await get(world, router))[0]

    async with requests(new_connection, 50) as answers:
        for number in range(3):
            name = f"n{number}.test"
            renew(folder, a=issued(HOST, name), b=issued(OTHER))
            await eventually(lambda name=name: _shows(router, name), 10, "the new one is shown")  # type: ignore[misc]
            goal = len(answers) + 20
            await eventually(lambda goal=goal: _true(len(answers) >= goal), 10, "more answers")  # type: ignore[misc]
        assert await shown(router, OTHER) == {OTHER}
    assert [answer for answer in answers if answer != 200] == []
    assert len(answers) >= 60


@integration
async def test_broken_files_leave_the_certificate_before_and_the_others(world: World) -> None:
    folder = put(world.folder / "c", a=issued(HOST), b=issued(OTHER))
    router = start(world, folder)
    await world.settled(app())
    await world.serving(router)
    mount(folder / "a", Signed(b"-----BEGIN CERTIFICATE-----", b""), b"")
    put(folder, b=issued(OTHER, "renewed.test"))
    await eventually(lambda: _shows(router, "renewed.test", OTHER), 10, "the other one is renewed")
    assert await shown(router, HOST) == {HOST}
    put(folder, a=issued(HOST, "mended.test"))
    for name, host in (
        ("mended.test", HOST),
        ("mended.test", "mended.test"),
        ("renewed.test", "renewed.test"),
    ):
        await eventually(lambda name=name, host=host: _shows(router, name, host), 10, "all are taken up")  # type: ignore[misc]


@integration
async def test_statistics_say_until_when_each_certificate_is_good(world: World) -> None:
    """So that one which nobody renews is noticed before clients refuse it."""
    before = {"shop-tls": _aged(0, HOST), "other.wild": _aged(3600, OTHER)}
    folder = put(world.folder / "c", **before)
    router = start(world, folder)
    await world.settled(app())
    await world.serving(router)
    assert await ends(world, router) == {
        "shown-shop-tls": end(before["shop-tls"]),
        "shown-other%2Ewild": end(before["other.wild"]),
    }
    renewed = _aged(-3600, HOST)
    put(folder, **{"shop-tls": renewed})

    async def taken_up() -> bool:
        return (await ends(world, router))["shown-shop-tls"] == end(renewed)

    await eventually(taken_up, 10, "the renewed one is there")


def _aged(age_s: float, host: str) -> Signed:
    return TRUST.for_server((host,), now_s() - age_s, LIVES)


@integration
async def test_certificates_of_the_same_names_stand_side_by_side(world: World) -> None:
    folder = put(world.folder / "c", a=issued(HOST, OTHER), b=issued(OTHER, HOST), c=issued(HOST, "c.test"))
    router = start(world, folder)
    await world.settled(app())
    await world.serving(router)
    for host, names in ((HOST, {HOST, OTHER}), (OTHER, {HOST, OTHER}), ("c.test", {HOST, "c.test"})):
        assert await shown(router, host) == names


@integration
async def test_websockets_events_and_grpc_go_through_tls(world: World) -> None:
    one, two = await world.server("one", StreamServer), await world.server("two", GrpcServer)
    router = start(world, put(world.folder / "c", a=issued(HOST), b=issued(OTHER)))
    calls = speaking(Protocol.GRPC, app(two.endpoint, key="shop/calls", hosts=(OTHER,)))
    await world.settled(app(one.endpoint) | calls)
    await world.serving(router)
    url, tls = "https://{}:{}".format(*secure(router)), client()
    ask = {"ssl": tls, "server_hostname": HOST}
    async with world.http.ws_connect(url, headers={"host": HOST}, **ask) as socket:  # type: ignore[arg-type]
        assert await socket.receive_str() == "one"
        await socket.send_str("hello")
        assert await socket.receive_str() == "hello"
    headers = {"host": HOST, **EVENTS}
    async with world.http.get(f"{url}/?silent=0.2", headers=headers, **ask) as events:  # type: ignore[arg-type]
        assert await events.content.readline() == b"one\n"
        assert await events.content.readline() == b"one\n"
    address = "{}:{}".format(*secure(router))
    async with channel(address, authorities=TRUST.bundle, host=OTHER) as line:
        assert await echo(line) == b"two hello"
        assert [n async for n in line.unary_stream(COUNT)(b"3", timeout=10)] == [b"0", b"1", b"2"]


def _one_volume(folder: Path, **shown: Signed) -> Path:
    """As a volume of several Secrets has them: links to folders of a version, which changes as a whole."""
    folder.mkdir(exist_ok=True)
    version = folder / f"..{len(list(folder.iterdir()))}"
    for name, signed in shown.items():
        (version / name).mkdir(parents=True)
        (version / name / "tls.crt").write_bytes(signed.certificate)
        (version / name / "tls.key").write_bytes(signed.key)
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")
    (folder / "..data_tmp").symlink_to(version.name)
    (folder / "..data_tmp").rename(folder / "..data")
    return folder


async def _shows(router: RouterProcess, name: str, host: str | None = None) -> bool:
    return name in await shown(router, host or name)


async def _true(value: bool) -> bool:
    return value
