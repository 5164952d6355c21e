"""Killed after any write, or told of none of its success, the operator ends where an undisturbed one does."""

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from millpond.api.names import LABEL_APP

from e2e import traffic
from e2e.mortal import Mortal, concerns, deed_of, end_state, orders, turn_of, victims
from e2e.product import Product, Raw, elastic_app
from e2e.traffic import Traffic
from kube.fault_proxy import FaultProxy, LoseAnswer, Seen
from waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.e2e]
EVERYWHERE = {"PATCH elasticapps/status", "PATCH editions/status", "PATCH dynamicpools/status"}


@pytest.fixture(scope="module")
def proxied(running: Product, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mortal]:
    with FaultProxy(running.cluster.operator_kubeconfig, tmp_path_factory.mktemp("proxy")) as proxy:
        assert running.operator is not None
        running.operator.stop()
        running.start_operator(kubeconfig=proxy.kubeconfig)
        try:
            yield Mortal(running, proxy)
        finally:
            running.operator.stop()
            running.start_operator()


@pytest.fixture
def mortal(proxied: Mortal) -> Iterator[Mortal]:
    proxied.proxy.seen.clear()
    yield proxied
    proxied.spare()
    assert proxied.product.operator is not None
    if not proxied.product.operator.alive:
        proxied.revive()


def apply(product: Product, namespace: str, name: str, replicas: int) -> None:
    product.apply(elastic_app(namespace, name, mode="Manual", replicas=replicas))


def scale(product: Product, namespace: str, name: str, replicas: int) -> None:
    product.cluster.kubectl("scale", f"elasticapp/{name}", f"--replicas={replicas}", "-n", namespace)


def settled(product: Product, namespace: str, name: str, count: int) -> bool:
    """This many servers serve, nothing else is left, and status says so."""
    app, pods = product.app(namespace, name), product.get("pods", "-n", namespace)["items"]
    servers = app.get("status", {}).get("servers", {})
    named = [p for p in pods if p["metadata"]["labels"]["millpond.dev/app"] == name]
    observed = app.get("status", {}).get("observedGeneration") == app["metadata"]["generation"]
    conditions = {c["type"]: c["status"] for c in app.get("status", {}).get("conditions", [])}
    quiet = conditions.get("Draining") == "False" and conditions.get("MetricsAvailable") == "True"
    exact = servers == {"desired": count, "ready": count, "starting": 0, "draining": 0}
    return observed and quiet and exact and len(named) == count and _editions_told(product, namespace, app)


def _editions_told(product: Product, namespace: str, app: Raw) -> bool:
    """Whether the editions' own status, which is written last, says what the app's says."""
    which = ("-n", namespace, "-l", f"{LABEL_APP}={app['metadata']['name']}")
    told = {e["spec"]["edition"]: e.get("status", {}) for e in product.get("editions", *which)["items"]}
    serves, count = app["status"].get("edition"), app["status"]["servers"]["ready"]
    wanted = {name: ("Active", count) if name == serves else ("Retired", 0) for name in told}
    return serves in told and {n: (s.get("state"), s.get("replicas")) for n, s in told.items()} == wanted


def undisturbed(product: Product, namespace: str, count: int) -> Raw:
    eventually(lambda: settled(product, namespace, "calm", count), 60, f"{count} servers serve undisturbed")
    return end_state(product, namespace, "calm")


def decided(product: Product, namespace: str, name: str) -> list[tuple[str, str, int]]:
    """What was done, newest first, as it is recorded."""
    decisions = product.app(namespace, name)["status"].get("decisions", [])
    return [(d["action"], d["reason"], d["wanted"]) for d in decisions if d["action"] != "Hold"]


def as_undisturbed(
    mortal: Mortal, namespace: str, calm: Raw, deaths: set[str], timeout_s: float = 200
) -> None:
    """Wait until it ends like the calm one, after these deaths at least; show the difference if it does not."""
    last: Raw = {}

    def same() -> bool:
        last.update(end_state(mortal.product, namespace, "web"))
        return last == calm and deaths <= set(mortal.deaths)

    try:
        mortal.until(same, timeout_s, f"the same end state in spite of {sorted(deaths)}")
    except AssertionError:
        assert last == calm
        raise


def creations(mortal: Mortal, namespace: str, since: int) -> list[str]:
    """What the operator created for the app and the API server took, without what it only tried out."""
    writes = mortal.product.operator_writes(since)
    ours = [w for w in writes if w.get("namespace") == namespace and w["resource"] != "events"]
    return sorted(
        w["resource"] for w in ours if (w["verb"], w["code"], w["dry_run"]) == ("create", 201, False)
    )


def test_a_new_app_is_made_once_by_an_operator_that_dies_after_each_write(
    mortal: Mortal, namespace: str
) -> None:
    product = mortal.product
    apply(product, namespace, "calm", 1)
    calm = undisturbed(product, namespace, 1)
    since = product.audit_lines()
    mortal.doom("web")
    apply(product, namespace, "web", 1)
    deaths = {"POST editions", "POST replicasets", "PATCH pods/status", *EVERYWHERE}
    as_undisturbed(mortal, namespace, calm, deaths)
    assert creations(mortal, namespace, since) == ["editions", "replicasets"]
    assert orders(mortal.proxy, "web") == []
    assert product.ask(f"web.{namespace}.test").status_code == 200


@pytest.mark.long  # in memory it is always tested: tests/memory/test_crashes.py
def test_a_server_is_added_once_by_an_operator_that_dies_after_each_write(
    mortal: Mortal, namespace: str
) -> None:
    product = mortal.product
    for name in ("calm", "web"):
        apply(product, namespace, name, 1)
    eventually(lambda: settled(product, namespace, "web", 1), 60, "one server serves")
    scale(product, namespace, "calm", 2)
    calm = undisturbed(product, namespace, 2)
    mortal.doom("web")
    scale(product, namespace, "web", 2)
    as_undisturbed(mortal, namespace, calm, {"PATCH replicasets", "PATCH pods/status", *EVERYWHERE})
    assert orders(mortal.proxy, "web") == [2]
    assert decided(product, namespace, "web") == decided(product, namespace, "calm")


def test_a_server_is_retired_without_losing_a_request_by_an_operator_that_dies_after_each_write(
    mortal: Mortal, namespace: str
) -> None:
    product = mortal.product
    for name in ("calm", "web"):
        apply(product, namespace, name, 2)
    eventually(lambda: settled(product, namespace, "web", 2), 60, "two servers serve")
    scale(product, namespace, "calm", 1)
    calm = undisturbed(product, namespace, 1)
    load = product.load(f"web.{namespace}.test", (150, 10))
    mortal.doom("web")
    scale(product, namespace, "web", 1)
    deaths = {"PATCH pods", "PATCH pods/status", "PATCH replicasets", *EVERYWHERE}
    as_undisturbed(mortal, namespace, calm, deaths)
    totals = load.end()
    assert totals["sent"] > 50, totals
    assert totals["ok"] == totals["sent"], totals
    assert len(victims(mortal.proxy, "web")) == 1
    assert set(orders(mortal.proxy, "web")) == {1}
    assert decided(product, namespace, "web") == decided(product, namespace, "calm")


CANARY = {"strategy": "Canary", "steps": [{"weight": 50}], "promote": {"edition": "v2", "step": 1}}


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("rollout", "last", "mark"),
    [
        pytest.param({"strategy": "Rolling"}, 2, turn_of, id="Rolling"),
        pytest.param({"strategy": "Rolling"}, 2, deed_of, id="Rolling, all", marks=pytest.mark.long),
        pytest.param({"strategy": "Atomic"}, 1, deed_of, id="Atomic", marks=pytest.mark.long),
        pytest.param({"strategy": "BlueGreen"}, 1, deed_of, id="BlueGreen", marks=pytest.mark.long),
        pytest.param(CANARY, 2, deed_of, id="Canary", marks=pytest.mark.long),
    ],
)
def test_a_swap_of_two_servers_loses_nothing_to_an_operator_that_dies_after_each_write(
    mortal: Mortal, namespace: str, rollout: Raw, last: int, mark: Callable[[Seen], str]
) -> None:
    """Each step, each order and each victim: it dies once after every one of them.

    After all else that it writes (gates, status of editions), too, in memory: tests/memory/test_crashes.py.
    """
    product = mortal.product
    how = {"mode": "Manual", "replicas": 2, "rollout": {"soak": "1s", **rollout}}
    calm = {**traffic.app(product, namespace, **how), "metadata": {"name": "calm", "namespace": namespace}}
    calm["spec"] = {**calm["spec"], "routes": [{"host": f"calm.{namespace}.test"}]}
    product.apply(calm, traffic.app(product, namespace, **how))
    for name in ("calm", "web"):
        eventually(lambda name=name: settled(product, namespace, name, 2), 60, "two servers serve")
    v2 = traffic.app(product, namespace, "v2", **how)["spec"]
    product.apply({**calm, "spec": {**v2, "routes": calm["spec"]["routes"]}})
    eventually(lambda: swapped(product, namespace, "calm"), 90, "v2 has taken over undisturbed")
    expected = end_state(product, namespace, "calm")
    with Traffic.run(product, namespace, rate=40, seconds=480, one_server=False):
        mortal.doom("web", mark=mark)
        product.apply(traffic.app(product, namespace, "v2", **how))
        deaths = {"POST editions", "POST replicasets", "PATCH replicasets replicas=2 of web-v2"}
        as_undisturbed(mortal, namespace, expected, deaths, timeout_s=400)
        mortal.spare()
        assert mortal.product.operator is not None
    steps = {d for d in mortal.deaths if "step=" in d}
    wanted = {f"step=Progressing/{n}" for n in range(1, last + 1)} | {f"step=Completed/{last}"}
    assert wanted <= {d.split()[2] for d in steps}
    assert len([d for d in mortal.deaths if "retire=True" in d]) == 2, mortal.deaths
    assert len(victims(mortal.proxy, "web")) == 2


@pytest.mark.long
@pytest.mark.timeout(600)
def test_pod_events_that_come_late_only_make_a_retire_and_a_swap_slower(
    mortal: Mortal, namespace: str
) -> None:
    product, late_s = mortal.product, 15
    how = {"mode": "Manual", "replicas": 2, "rollout": {"soak": "1s"}}
    product.apply(traffic.app(product, namespace, **how))
    product.wait_serving(namespace, 2)
    mortal.proxy.delay_watches(late_s, of="/pods")
    try:
        with Traffic.run(product, namespace, seconds=400, rate=100, one_server=False):
            scale(product, namespace, "web", 1)
            product.wait_serving(namespace, 1, timeout_s=150)
            product.apply(traffic.app(product, namespace, "v2", **{**how, "replicas": 1}))
            eventually(lambda: swapped(product, namespace, "web", 1), 240, "v2 has taken over")
    finally:
        mortal.proxy.delay_watches(0)


def swapped(product: Product, namespace: str, name: str, count: int = 2) -> bool:
    rollout = product.app(namespace, name).get("status", {}).get("rollout", {})
    return rollout.get("phase") == "Completed" and settled(product, namespace, name, count)


def to_sets_of_web(verb: str, seen: Seen) -> bool:
    return seen.write and seen.verb == verb and "/replicasets" in seen.path and concerns(seen, "web")


def test_lost_answers_to_a_creation_and_to_a_removal_do_nothing_twice(mortal: Mortal, namespace: str) -> None:
    product, proxy = mortal.product, mortal.proxy
    since = product.audit_lines()
    lost = [proxy.inject(partial(to_sets_of_web, verb), LoseAnswer(), times=1) for verb in ("POST", "PATCH")]
    apply(product, namespace, "web", 2)
    eventually(lambda: settled(product, namespace, "web", 2), 60, "two servers serve")
    assert lost[0].hits == 1
    assert creations(mortal, namespace, since) == ["editions", "replicasets"]
    load = product.load(f"web.{namespace}.test", (60, 10))
    scale(product, namespace, "web", 1)
    eventually(lambda: settled(product, namespace, "web", 1), 60, "one server serves")
    totals = load.end()
    assert lost[1].hits == 1
    assert totals["ok"] == totals["sent"], totals
    assert len(victims(proxy, "web")) == 1
    assert set(orders(proxy, "web")) == {1}
