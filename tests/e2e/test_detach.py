"""millpond detach: servers go on as plain ReplicaSets, no request is lost meanwhile, and it may die anywhere."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from millpond.api.names import GATE, LEASE, NAMESPACE, RETIRE_ANNOTATION

import asking
from e2e import traffic
from e2e.product import Product, Raw, elastic_app
from e2e.roles import make_namespace
from e2e.traffic import Traffic
from kube.fault_proxy import FaultProxy, Seen
from waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.e2e]


@pytest.fixture
def deployed(product: Product) -> Iterator[Product]:
    """The operator as a Deployment, as the chart has it; its pod is a process like any other here."""
    assert product.operator is not None
    product.operator.stop()
    argv = ["-m", "millpond", "operator", "--kubeconfig", str(product.cluster.operator_kubeconfig)]
    argv += ["--xds", product.xds, "--health", product.health]
    container = {
        "name": "operator",
        "image": "none",
        "command": [sys.executable, *argv],
        "env": [{"name": "TMPDIR", "value": str(product.folder)}],
    }
    labels = {"app": "millpond-operator"}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "millpond-operator", "namespace": NAMESPACE},
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [container], "automountServiceAccountToken": False},
            },
        },
    }
    product.apply(deployment)
    try:
        eventually(lambda: product.healthz().status_code == 200, 60, "the operator is healthy")
        yield product
    finally:
        product.cluster.kubectl(
            "delete", "deployment", "millpond-operator", "-n", NAMESPACE, "--cascade=foreground"
        )
        eventually(
            lambda: not product.get("lease", LEASE, "-n", NAMESPACE)["spec"]["holderIdentity"], 30, "it ended"
        )


def millpond(*argv: str, kubeconfig: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "millpond", *argv, "--kubeconfig", str(kubeconfig)]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, env=os.environ)


def detach(product: Product, *argv: str, save: Path) -> tuple[str, list[Raw]]:
    """What it said, and the Services that it printed."""
    done = millpond("detach", "--yes", "--save", str(save), *argv, kubeconfig=product.cluster.kubeconfig)
    assert done.returncode == 0, done.stderr
    return done.stderr, list(yaml.safe_load_all(done.stdout))


def is_ready(pod: Raw) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))


def reached(product: Product, service: Raw) -> set[str]:
    """Addresses of the ready servers that the Service selects. (EndpointSlices cannot hold the addresses here.)"""
    namespace = service["metadata"]["namespace"]
    found = product.get("service", service["metadata"]["name"], "-n", namespace)["spec"]["selector"]
    selector = ",".join(f"{k}={v}" for k, v in found.items())
    return {
        p["status"]["podIP"]
        for p in product.get("pods", "-n", namespace, "-l", selector)["items"]
        if is_ready(p)
    }


def addresses(product: Product, namespace: str) -> set[str]:
    pods = [p for p in product.pods(namespace) if "deletionTimestamp" not in p["metadata"] and is_ready(p)]
    return {p["status"]["podIP"] for p in pods}


def left(product: Product, namespace: str) -> list[str]:
    kinds = ("elasticapps", "editions", "replicasets")
    items = product.get(",".join(kinds), "-n", namespace)["items"]
    return sorted(f"{i['kind']}/{i['metadata']['name']}" for i in items)


def namespaces_with_apps(product: Product) -> set[str]:
    return {app["metadata"]["namespace"] for app in product.get("elasticapps")["items"]}


def test_everything_is_detached_under_load_and_lives_on_by_kubernetes_alone(
    deployed: Product, namespace: str, tmp_path: Path
) -> None:
    product = deployed
    product.apply(traffic.app(product, namespace, mode="Manual", replicas=2))
    product.wait_serving(namespace, 2)
    eventually(lambda: namespaces_with_apps(product) == {namespace}, 90, "earlier tests' apps are gone")
    before = {p["metadata"]["uid"] for p in product.pods(namespace)}
    with Traffic.run(product, namespace, rate=100):
        said, services = detach(product, "--all-namespaces", save=tmp_path)
    assert "is scaled to 0" in said
    assert product.get("deployment", "millpond-operator", "-n", NAMESPACE)["spec"]["replicas"] == 0
    assert left(product, namespace) == ["ReplicaSet/web-v1"]
    (owned,) = product.get("replicasets", "-n", namespace)["items"]
    assert "ownerReferences" not in owned["metadata"]
    assert "finalizers" not in owned["metadata"]
    assert "readinessGates" not in owned["spec"]["template"]["spec"]
    assert owned["spec"]["template"]["spec"]["nodeSelector"] == {"millpond.dev/pool": "default"}
    assert {p["metadata"]["uid"] for p in product.pods(namespace)} == before

    (service,) = (s for s in services if s["metadata"]["namespace"] == namespace)
    product.apply(service)
    product.cluster.kubectl("delete", "pod", product.pods(namespace)[0]["metadata"]["name"], "-n", namespace)
    eventually(lambda: len(addresses(product, namespace)) == 2, 30, "Kubernetes starts another server")
    fresh = [p for p in product.pods(namespace) if p["metadata"]["uid"] not in before]
    assert "readinessGates" not in fresh[0]["spec"]
    eventually(
        lambda: reached(product, service) == addresses(product, namespace), 20, "the Service reaches both"
    )
    (port,) = service["spec"]["ports"]
    for address in addresses(product, namespace):
        assert asking.get(f"http://{address}:{port['targetPort']}/", timeout=5).status_code == 200
    (kept,) = [f for f in tmp_path.iterdir() if f.name == f"{namespace}.web.yaml"]
    manifest = yaml.safe_load(kept.read_text())
    wanted = traffic.app(product, namespace, mode="Manual", replicas=2)
    assert manifest["spec"]["template"] == wanted["spec"]["template"]
    assert manifest["spec"]["edition"] == "v1"
    _, again = detach(product, "--all-namespaces", save=tmp_path)
    assert service in again


class Doomed:
    """A detach that is killed right after each new kind of write, and started again until it ends well."""

    def __init__(self, product: Product, proxy: FaultProxy, namespace: str, save: Path) -> None:
        self.deaths: list[str] = []
        self._proxy = proxy
        argv = [
            "detach",
            "web",
            "--yes",
            "-n",
            namespace,
            "--save",
            str(save),
            "--kubeconfig",
            str(proxy.kubeconfig),
        ]
        self._argv = [sys.executable, "-m", "millpond", *argv]
        self._running: subprocess.Popen[str] | None = None

    def run(self) -> str:
        """What the last one printed."""
        self._proxy.after_write(self._strike)
        try:
            for _ in range(20):
                self._running = subprocess.Popen(
                    self._argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
                )
                out, complaint = self._running.communicate(timeout=120)
                if self._running.returncode == 0:
                    return out
                assert self._running.returncode < 0, complaint
        finally:
            self._proxy.after_write(lambda _: None)
        raise AssertionError(f"it never ended: {self.deaths}")

    def _strike(self, seen: Seen) -> None:
        body = json.loads(seen.body) if seen.body else {}
        about = "owner " if "ownerReferences" in body.get("metadata", {}) else ""
        what = f"{seen.verb} {about}{seen.path.split('/namespaces/')[1].split('/', 1)[1]}"
        if what not in self.deaths and self._running is not None:
            self.deaths.append(what)
            self._running.kill()


@pytest.fixture
def proxy(product: Product, tmp_path: Path) -> Iterator[FaultProxy]:
    with FaultProxy(product.cluster.kubeconfig, tmp_path) as proxy:
        yield proxy


def victim(product: Product, namespace: str) -> str:
    def named() -> list[str]:
        metas = (p["metadata"] for p in product.pods(namespace))
        return [m["name"] for m in metas if RETIRE_ANNOTATION in m.get("annotations", {})]

    return eventually(named, 20, "a server is told to retire")[0]


def test_killed_after_each_write_it_goes_on_and_a_server_that_was_draining_goes(
    product: Product, namespace: str, proxy: FaultProxy, tmp_path: Path
) -> None:
    product.apply(traffic.app(product, namespace, mode="Manual", replicas=3))
    product.wait_serving(namespace, 3)
    with Traffic.run(product, namespace, rate=60, one_server=False):
        product.cluster.kubectl("scale", "elasticapp/web", "--replicas=2", "-n", namespace)
        going = victim(product, namespace)
        product.crash_operator()
        doomed = Doomed(product, proxy, namespace, tmp_path / "kept")
        (service,) = yaml.safe_load_all(doomed.run())
        eventually(
            lambda: going not in {p["metadata"]["name"] for p in product.pods(namespace)}, 60, "it has gone"
        )
    assert left(product, namespace) == ["ReplicaSet/web-v1"]
    kinds = {death.split("/")[0] for death in doomed.deaths}
    assert kinds >= {"PATCH replicasets", "PATCH owner replicasets", "DELETE editions", "DELETE elasticapps"}
    assert service["spec"]["selector"] == {"millpond.dev/app": "web", "millpond.dev/edition": "v1"}
    pods = product.pods(namespace)
    assert len(pods) == 2
    assert all(is_ready(p) for p in pods)

    product.start_operator()  # somebody comes back: what was detached is none of the operator's business
    manifest = yaml.safe_load((tmp_path / "kept" / f"{namespace}.web.yaml").read_text())
    manifest["spec"]["edition"] = "v2"
    product.apply(manifest)
    product.wait_serving(namespace, 2)
    assert {p["metadata"]["uid"] for p in pods} < {p["metadata"]["uid"] for p in product.pods(namespace)}
    assert product.ask(f"web.{namespace}.test").status_code == 200


def test_one_app_is_not_detached_while_the_operator_sees_to_others_and_a_dry_run_changes_nothing(
    product: Product, namespace: str, tmp_path: Path
) -> None:
    product.apply(elastic_app(namespace), elastic_app(namespace, "other"))
    product.wait_serving(namespace)
    eventually(lambda: product.condition(namespace, "Ready", "other")[0] == "True", 30, "the other serves")
    eventually(lambda: homes(product) == {namespace}, 60, "the apps of earlier tests are gone")
    admin = product.cluster.kubeconfig
    done = millpond("detach", "web", "--yes", "-n", namespace, "--save", str(tmp_path), kubeconfig=admin)
    assert done.returncode == 1
    assert "takes the hosts of an app that is no more from the routers" in done.stderr
    assert f"{namespace}/other" in done.stderr
    done = millpond("detach", "-A", "--yes", "--save", str(tmp_path), kubeconfig=admin)
    assert done.returncode == 1
    assert "end that process, then try again" in done.stderr
    elsewhere = ("--operator-namespace", namespace)
    done = millpond("detach", "-A", "--yes", "--save", str(tmp_path), *elsewhere, kubeconfig=admin)
    assert done.returncode == 1
    assert "no operator was ever in namespace" in done.stderr
    said, services = detach(product, "--all-namespaces", "--dry-run", save=tmp_path / "kept")
    assert "nothing was changed" in said
    assert {s["metadata"]["name"] for s in services if s["metadata"]["namespace"] == namespace} == {
        "other",
        "web",
    }
    assert not (tmp_path / "kept").exists()
    assert len(left(product, namespace)) == 6
    assert all(gated(p) for p in product.pods(namespace))


def homes(product: Product) -> set[str]:
    """The namespaces that have apps."""
    return {app["metadata"]["namespace"] for app in product.get("elasticapps")["items"]}


def gated(pod: Raw) -> bool:
    return {"conditionType": GATE} in pod["spec"].get("readinessGates", [])


def test_with_the_operator_gone_first_neither_apps_nor_their_namespace_hang(
    product: Product, namespace: str
) -> None:
    doomed = f"{namespace}-gone"
    make_namespace(product.cluster, doomed)
    product.apply(elastic_app(namespace), elastic_app(doomed))
    for place in (namespace, doomed):
        product.wait_serving(place)
    assert product.operator is not None
    product.operator.stop()
    product.cluster.kubectl("delete", "elasticapp/web", "-n", namespace, "--timeout=60s")
    product.cluster.kubectl("delete", "namespace", doomed, "--timeout=60s")
    for place in (namespace, doomed):
        eventually(
            lambda place=place: (
                product.get("elasticapps,editions,replicasets,pods", "-n", place)["items"] == []
            ),
            60,
            "everything is gone",
        )
