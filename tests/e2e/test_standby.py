"""Two operators: one leads, the other stands by, and takes over from one that ends, is killed or was stopped."""

import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from millpond.api.names import GATE, LEASE, NAMESPACE, ROUTERS_ANNOTATION
from millpond.lead.roster import load
from millpond.local.cluster.embedded import Process

import asking
from api.server import connect
from e2e import traffic
from e2e.product import Product, Raw, free_address
from e2e.traffic import Traffic
from waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.e2e, pytest.mark.alone, pytest.mark.timeout(300)]
LEASE_S = 15.0
MERGE = {"Content-Type": "application/strategic-merge-patch+json"}


@dataclass
class Pair:
    """Operators by name, each with its own address for routers; a router that knows both; an app with two servers."""

    product: Product
    http: httpx.Client
    processes: dict[str, Process] = field(default_factory=dict)
    health: dict[str, str] = field(default_factory=dict)

    def xds(self, name: str) -> str:
        return f"unix:{self.product.folder}/{name}"

    def start(self, name: str) -> None:
        self.health.setdefault(name, free_address())
        argv = ["operator", "--kubeconfig", str(self.product.cluster.operator_kubeconfig)]
        argv += ["--xds", self.xds(name), "--health", self.health[name]]
        command = [sys.executable, "-m", "millpond", *argv]
        self.processes[name] = self.product.cluster.run(f"operator-{name}", command)
        eventually(lambda: self.ready(name), 30, f"{name} is ready")

    def ready(self, name: str) -> bool:
        return asking.get(f"http://{self.health[name]}/readyz", timeout=5).status_code == 200

    def leads(self, name: str) -> bool:
        text = asking.get(f"http://{self.health[name]}/metrics", timeout=5).text
        return "millpond_leader 1.0" in text

    def leader(self) -> str:
        """The one, whose router is connected."""

        def one() -> str | None:
            found = [name for name, process in self.processes.items() if process.alive and self.leads(name)]
            assert len(found) < 2, "two lead"
            return found[0] if found and "pair" in self.routers(found[0]) else None

        return eventually(one, 30, "one leads, and has the router") or ""

    def routers(self, name: str) -> str:
        checks = asking.get(f"http://{self.health[name]}/healthz", timeout=5).json()["checks"]
        return str(checks["routers"]["detail"])

    def other(self, name: str) -> str:
        return next(n for n in self.processes if n != name)

    def moved(self, namespace: str, since_s: float) -> float:
        """Close a server's gate by hand; after how many seconds somebody has put that right, from `since_s` on."""
        path = f"/api/v1/namespaces/{namespace}/pods"
        name = self.http.get(path).json()["items"][0]["metadata"]["name"]
        closed = {"type": GATE, "status": "False", "lastTransitionTime": "2030-01-01T00:00:00Z"}
        body = json.dumps({"status": {"conditions": [closed]}})
        self.http.patch(f"{path}/{name}/status", content=body, headers=MERGE).raise_for_status()

        def put_right() -> bool:
            conditions = self.http.get(f"{path}/{name}").json()["status"]["conditions"]
            return any(c["type"] == GATE and c["status"] == "True" for c in conditions)

        eventually(put_right, 60, "the gate is put right")
        return time.monotonic() - since_s

    def lease(self) -> Raw:
        found: Raw = self.http.get(
            f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/{LEASE}"
        ).json()
        return found

    def holder(self) -> str:
        return str(self.lease()["spec"].get("holderIdentity") or "")

    def noted(self) -> list[str]:
        known = load(self.lease()["metadata"].get("annotations", {}).get(ROUTERS_ANNOTATION))
        return [name for name, *_ in known.routers]

    def stop(self) -> None:
        for process in self.processes.values():
            if process.alive:
                os.kill(process.pid, signal.SIGCONT)
                process.stop()


@pytest.fixture(scope="module")
def pair(running: Product) -> Iterator[Pair]:
    assert running.operator is not None
    running.routers["r1"].stop()  # it doesn't know these operators, and would count as serving something else
    running.operator.stop()
    with tempfile.TemporaryDirectory(prefix="mp-") as folder, connect(running.cluster.kubeconfig) as http:
        product = Product(running.cluster, Path(folder))
        found = Pair(product, http)
        product.xds = f"{found.xds('a')},{found.xds('b')}"
        try:
            found.start("a")
            found.start("b")
            product.start_router("pair")
            yield found
        finally:
            product.stop()
            found.stop()
            running.start_operator()
            running.start_router("r1")


@pytest.fixture
def serving(pair: Pair, namespace: str) -> str:
    """A namespace whose app has two servers. Both operators run."""
    for name in ("a", "b"):
        if not pair.processes[name].alive:
            pair.start(name)
    pair.leader()
    pair.product.apply(traffic.app(pair.product, namespace, mode="Manual", replicas=2))
    pair.product.wait_serving(namespace, 2)
    return namespace


def test_one_leads_and_both_are_ready(pair: Pair, serving: str) -> None:
    leader = pair.leader()
    other = pair.other(leader)
    assert pair.ready(leader)
    assert pair.ready(other)
    assert not pair.leads(other)
    assert "pair" not in pair.routers(other)
    assert not Path(pair.xds(other).removeprefix("unix:")).exists(), "who stands by does not listen"
    eventually(lambda: pair.noted() == ["pair"], 20, "a successor would know of the router")


def test_one_that_ends_is_followed_within_three_seconds(pair: Pair, serving: str) -> None:
    leader = pair.leader()
    with Traffic.run(pair.product, serving, rate=100, one_server=False, routers=("pair",)):
        holder, began_s = pair.holder(), time.monotonic()
        pair.processes[leader].terminate()
        eventually(lambda: pair.holder() != holder, 3, "the lease is released")
        took_s = pair.moved(serving, began_s)
        print(f"gates move {took_s:.1f} s after the end")
        assert took_s < 3.0
        assert pair.leader() == pair.other(leader)
        pair.product.cluster.kubectl("scale", "elasticapp/web", "--replicas=3", "-n", serving)
        pair.product.wait_serving(serving, 3)


def test_one_that_is_killed_is_followed_when_its_lease_ran_out(pair: Pair, serving: str) -> None:
    leader = pair.leader()
    eventually(lambda: pair.noted() == ["pair"], 20, "a successor would know of the router")
    with Traffic.run(pair.product, serving, rate=100, one_server=False, routers=("pair",)):
        began_s = time.monotonic()
        pair.processes[leader].kill()
        took_s = pair.moved(serving, began_s)
        print(f"gates move {took_s:.1f} s after the kill")
        assert took_s < LEASE_S + 5
        assert pair.leader() == pair.other(leader)
        pair.product.cluster.kubectl("scale", "elasticapp/web", "--replicas=1", "-n", serving)
        pair.product.wait_serving(serving, 1)


def test_one_that_was_stopped_past_its_lease_gives_its_routers_up_and_stands_by(
    pair: Pair, serving: str
) -> None:
    leader = pair.leader()
    other = pair.other(leader)
    with Traffic.run(pair.product, serving, rate=100, one_server=False, routers=("pair",)):
        os.kill(pair.processes[leader].pid, signal.SIGSTOP)
        eventually(lambda: pair.leads(other), LEASE_S + 5, "the other one leads")
        os.kill(pair.processes[leader].pid, signal.SIGCONT)
        eventually(lambda: not pair.leads(leader), 5, "who was stopped leads no more")
        eventually(lambda: "pair" in pair.routers(other), 5, "the router is with who leads")
        assert pair.leader() == other
        assert pair.ready(leader)
        pair.moved(serving, time.monotonic())
