"""Operator and routers on TCP: certificates come from the cluster, and new ones cost no request."""

import base64
import itertools
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from millpond.api.names import NAMESPACE
from millpond.cli.run.operator import operator as operator_command
from millpond.lead.identity import CA_SECRET, ROTATE_ANNOTATION, ROUTER_SECRET
from millpond.local.cluster.embedded import Cluster, Process
from millpond.router.trust.tls import FILES

from e2e import shortlived
from e2e.product import Product, Raw, elastic_app, free_address, template, wait_listening
from waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.e2e]
SECRETS = ("secret", CA_SECRET, ROUTER_SECRET, "--ignore-not-found", "-n", NAMESPACE)


@dataclass
class Mount:
    """A folder that follows the routers' Secret, as a kubelet's does: all files change at once."""

    cluster: Cluster
    folder: Path

    def __post_init__(self) -> None:
        self.versions: list[dict[str, bytes]] = []
        self._ended = threading.Event()

    def update(self) -> bool:
        """Whether the Secret is there."""
        found = self.cluster.kubectl("get", *SECRETS[:1], ROUTER_SECRET, *SECRETS[3:], "-o", "json")
        if not found.strip():
            return False
        files = {name: base64.b64decode(value) for name, value in json.loads(found)["data"].items()}
        if not self.versions or files != self.versions[-1]:
            self._swap(files)
        return True

    def _swap(self, files: dict[str, bytes]) -> None:
        self.versions.append(files)
        version = self.folder / f"..{len(self.versions)}"
        version.mkdir(parents=True)
        for name, content in files.items():
            (version / name).write_bytes(content)
            if not (self.folder / name).is_symlink():
                (self.folder / name).symlink_to(f"..data/{name}")
        (self.folder / "..next").symlink_to(version.name)
        (self.folder / "..next").rename(self.folder / "..data")

    @contextmanager
    def following(self) -> Iterator[None]:
        def follow() -> None:
            while not self._ended.wait(0.5):
                self.update()

        thread = threading.Thread(target=follow)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()

    def authorities(self) -> int:
        return self.versions[-1]["ca.crt"].count(b"BEGIN CERTIFICATE")


@pytest.fixture
def product(running: Product) -> Iterator[Product]:
    """An operator and routers on TCP, still to be started, in the place of the usual ones. No certificate is there."""
    assert running.operator is not None
    running.routers["r1"].stop()  # it doesn't know this operator, and would count as serving something else
    running.operator.stop()
    with tempfile.TemporaryDirectory(prefix="mp-") as folder:  # short: socket paths end at 107 bytes
        product = Product(running.cluster, Path(folder))
        product.xds = free_address()
        product.cluster.kubectl("delete", *SECRETS)
        try:
            yield product
        finally:
            product.stop()
            product.cluster.kubectl("delete", *SECRETS)
            running.start_operator()
            running.start_router("r1")


def start_router(product: Product, mount: Mount, name: str = "tls-1") -> Process:
    listen = product.addresses.setdefault(name, free_address())
    argv = ["router", "--name", name, "--xds", f"localhost:{product.xds.rpartition(':')[2]}"]
    argv += ["--tls-dir", str(mount.folder), "--listen", listen, "--stats", free_address()]
    command = [sys.executable, "-m", "millpond", *argv, "--accept-seconds", "1"]
    product.routers[name] = product.cluster.run(name, command, {"TMPDIR": str(product.folder)})
    wait_listening(listen, product.routers[name])
    return product.routers[name]


def start_shortlived(product: Product) -> None:
    """An operator whose certificates live for seconds."""
    argv = [sys.executable, shortlived.__file__, str(product.cluster.operator_kubeconfig), product.xds]
    product.operator = product.cluster.run("operator", [*argv, product.health])
    eventually(lambda: product.healthz().status_code == 200, 30, "the operator is healthy")


def app(namespace: str, *more: str, **spec: Any) -> Raw:
    """It answers for the host `web.…`, and for more hosts."""
    routes = [{"host": host} for host in (f"web.{namespace}.test", *more)]
    calm = template(SLOTS="200", SERVICE_TIME_MS="20")
    return elastic_app(namespace, routes=routes, template=calm, mode="Manual", **spec)


def described(product: Product) -> str:
    return str(product.healthz().json()["checks"]["certificates"]["detail"])


def answers(product: Product, host: str) -> bool:
    return bool(product.ask(host, router="tls-1").status_code == 200)


def test_an_app_is_served_with_certificates_from_the_cluster(
    product: Product, namespace: str, tmp_path: Path
) -> None:
    lines = product.audit_lines()
    product.start_operator()
    eventually(lambda: "valid until" in described(product), 10, "health says until when they are valid")
    mount = Mount(product.cluster, tmp_path / "tls")
    eventually(mount.update, 10, "the Secret is there")
    assert set(mount.versions[0]) == set(FILES)
    start_router(product, mount)
    product.apply(app(namespace, replicas=1))
    product.wait_serving(namespace)
    assert answers(product, f"web.{namespace}.test")
    writes = [write["verb"] for write in product.operator_writes(lines) if write.get("resource") == "secrets"]
    assert writes == ["create", "create"]


def test_an_operator_with_a_damaged_authority_ends_and_says_so(product: Product) -> None:
    product.start_operator()
    assert product.operator is not None
    eventually(lambda: "valid until" in described(product), 10, "there is an authority")
    product.operator.stop()
    damaged = '{"data": {"tls.key": "bm9uc2Vuc2U="}}'
    product.cluster.kubectl("patch", "secret", CA_SECRET, "-n", NAMESPACE, "-p", damaged)
    operator = product.spawn_operator()
    assert operator.wait(30)
    said = f"Error: Secret {NAMESPACE}/{CA_SECRET} is damaged: the key is not readable as PEM"
    assert said in operator.log_tail()


def test_new_certificates_and_a_new_authority_cost_no_request(
    product: Product, namespace: str, tmp_path: Path
) -> None:
    """Leaves are renewed every few seconds and the authority is replaced, while routes and servers change."""
    start_shortlived(product)
    mount = Mount(product.cluster, tmp_path / "tls")
    eventually(mount.update, 10, "the Secret is there")
    with mount.following():
        start_router(product, mount)
        product.apply(app(namespace, replicas=2))
        product.wait_serving(namespace, 2)
        host = f"web.{namespace}.test"
        load = product.load(host, (150, 100), router="tls-1")
        numbers = itertools.count()

        def change() -> None:
            """Another host, which the router must know, and another number of servers."""
            number = next(numbers)
            added = f"web-{number}.{namespace}.test"
            product.apply(app(namespace, added, replicas=2 + number % 2))
            eventually(lambda: answers(product, added), 15, f"the router knows {added}")

        def until(reached: Callable[[], object], timeout_s: float, why: str) -> None:
            end_s = time.monotonic() + timeout_s
            while not reached():
                assert time.monotonic() < end_s, why
                change()

        first = mount.versions[-1]
        until(lambda: mount.versions[-1]["tls.crt"] != first["tls.crt"], 40, "a leaf is renewed")
        assert mount.versions[-1]["ca.crt"] == first["ca.crt"]
        wish = f"{ROTATE_ANNOTATION}=test"
        product.cluster.kubectl("annotate", "secret", CA_SECRET, wish, "-n", NAMESPACE)
        until(lambda: mount.authorities() == 2, 20, "a new authority is announced")
        until(lambda: mount.authorities() == 1, 60, "the old authority is gone")
        assert mount.versions[-1]["ca.crt"] != first["ca.crt"]
        change()
        assert load.process.alive, "the load must outlast the rotation"
        totals = load.end()
    print(f"{totals}; {len(mount.versions)} versions of the Secret, {next(numbers)} changes of routes")
    assert totals["ok"] == totals["sent"] >= 2000, totals
    assert len({version["tls.crt"] for version in mount.versions}) >= 3
    assert product.operator is not None
    assert product.operator.alive
    assert product.routers["tls-1"].alive


@pytest.mark.parametrize(
    ("options", "said"),
    [
        pytest.param(
            ["--xds", "0.0.0.0:18000"], "0.0.0.0:18000 can be reached from others", id="all addresses"
        ),
        pytest.param(
            ["--xds", "10.0.0.1:18000"], "10.0.0.1:18000 can be reached from others", id="a network's"
        ),
        pytest.param([], "0.0.0.0:18000 can be reached from others", id="the default"),
    ],
)
def test_without_tls_an_operator_listens_on_this_machine_only(options: list[str], said: str) -> None:
    result = CliRunner().invoke(operator_command, ["--xds-insecure", *options])
    assert result.exit_code == 2
    assert "--xds-insecure is for this machine only" in " ".join(result.output.split())
    assert said in " ".join(result.output.split())


def test_plain_tcp_on_this_machine_must_be_asked_for(product: Product, namespace: str) -> None:
    product.start_operator("--xds-insecure")
    listen = product.addresses.setdefault("tls-1", free_address())
    argv = ["--name", "tls-1", "--xds", product.xds, "--listen", listen, "--stats", free_address()]
    command = [sys.executable, "-m", "millpond", "router", *argv, "--accept-seconds", "1"]
    product.routers["tls-1"] = product.cluster.run("tls-1", command, {"TMPDIR": str(product.folder)})
    wait_listening(listen, product.routers["tls-1"])
    product.apply(app(namespace, replicas=1))
    product.wait_serving(namespace)
    assert answers(product, f"web.{namespace}.test")
    assert not product.cluster.kubectl("get", *SECRETS, "-o", "name").strip()
