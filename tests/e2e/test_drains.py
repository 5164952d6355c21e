"""Servers that go: by our own retire with all that may hold it up, and by the hands of others. Nothing is lost."""

import contextlib
import signal
import time
from collections.abc import Iterator

import psutil
import pytest

from millpond.api.names import LABEL_APP

import asking
from e2e.audit import retire_s
from e2e.product import Product, Raw, elastic_app, template
from e2e.visitors import Lasting, Visitor, wait_until
from waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.e2e]
BOUND = {"affinity": {"cookie": "MILLPOND"}}


def start(product: Product, namespace: str, replicas: int, **spec: object) -> str:
    """Its host."""
    product.apply(elastic_app(namespace, **{"mode": "Manual", "replicas": replicas, **spec}))
    product.wait_serving(namespace, replicas)
    return f"web.{namespace}.test"


def scale(product: Product, namespace: str, replicas: int) -> None:
    product.cluster.kubectl("scale", "elasticapp/web", f"--replicas={replicas}", "-n", namespace)


def names(product: Product, namespace: str) -> set[str]:
    return {p["metadata"]["name"] for p in product.pods(namespace)}


def leaving(product: Product, namespace: str) -> set[str]:
    return {p["metadata"]["name"] for p in product.pods(namespace) if "deletionTimestamp" in p["metadata"]}


def victim(product: Product, namespace: str) -> str:
    """The pod that was told to retire, once there is one."""

    def named() -> list[str]:
        annotated = (p["metadata"] for p in product.pods(namespace))
        return [m["name"] for m in annotated if "millpond.dev/retire" in m.get("annotations", {})]

    return eventually(named, 20, "a victim is named")[0]


def notes(product: Product, namespace: str, reason: str) -> list[str]:
    items = product.get("events.events.k8s.io", "-n", namespace)["items"]
    return [e["note"] for e in items if e["reason"] == reason]


@contextlib.contextmanager
def under_load(product: Product, host: str, rate: float = 30, router: str = "r1") -> Iterator[None]:
    """Every request that is sent meanwhile is answered well."""
    load = product.load(host, (150, rate), router=router)
    eventually(lambda: load.seconds() > 1, 20, "the load flows")
    yield
    before = load.seconds()
    eventually(lambda: load.seconds() > before + 2, 20, "and went on afterwards")
    totals = load.end()
    assert totals["ok"] == totals["sent"] > 3 * rate, totals


def replaced(product: Product, namespace: str, gone: set[str], count: int) -> bool:
    left = names(product, namespace)
    return not gone & left and len(left) == count and product.servers(namespace).get("ready") == count


# -- removals by others


def test_a_pod_deleted_by_hand_under_load_loses_no_request(product: Product, namespace: str) -> None:
    host = start(product, namespace, 2)
    gone = min(names(product, namespace))
    with under_load(product, host):
        product.cluster.kubectl("delete", "pod", gone, "-n", namespace, "--wait=false")
        eventually(lambda: replaced(product, namespace, {gone}, 2), 60, "another serves in its place")


def test_visitors_of_a_pod_deleted_by_hand_are_served_by_another(product: Product, namespace: str) -> None:
    """They come every few milliseconds, so that one would meet the end of the process if he still could."""
    host = start(product, namespace, 2, template=template(SLOTS="100", SERVICE_TIME_MS="10"), **BOUND)
    with contextlib.ExitStack() as stack:
        visitors = [stack.enter_context(Visitor.of(product, host, pause_s=0.005)) for _ in range(12)]
        home = visitors[0].server
        product.cluster.kubectl("delete", "pod", home, "-n", namespace, "--wait=false")
        eventually(lambda: replaced(product, namespace, {home}, 2), 60, "another serves in its place")
        eventually(lambda: home not in {v.server for v in visitors}, 20, "they are served elsewhere")
    assert [v.errors for v in visitors if v.errors] == []
    assert {status for v in visitors for status, _ in v.answers} == {200}


def test_a_node_drained_by_kubectl_under_load_loses_no_request(product: Product, namespace: str) -> None:
    """A PodDisruptionBudget sees to it that one goes at a time: a pod is Ready once every router sends requests."""
    host = start(product, namespace, 3)
    product.apply(budget(namespace))
    node = product.pods(namespace)[0]["spec"]["nodeName"]
    there = {p["metadata"]["name"] for p in product.pods(namespace) if p["spec"]["nodeName"] == node}
    eventually(lambda: allowed(product, namespace) == 1, 30, "the budget is known")
    try:
        with under_load(product, host):
            selector = f"--pod-selector={LABEL_APP}=web"
            product.cluster.kubectl("drain", node, selector, "--timeout=100s", "--ignore-daemonsets")
            eventually(lambda: replaced(product, namespace, there, 3), 60, "others serve in their place")
    finally:
        product.cluster.kubectl("uncordon", node)
    assert node not in {p["spec"]["nodeName"] for p in product.pods(namespace)}


def budget(namespace: str) -> Raw:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {LABEL_APP: "web"}}},
    }


def allowed(product: Product, namespace: str) -> object:
    return (
        product.get("poddisruptionbudget", "web", "-n", namespace).get("status", {}).get("disruptionsAllowed")
    )


# -- what holds a retire up, and for how long


@pytest.mark.alone
def test_an_idle_server_goes_within_two_seconds(product: Product, namespace: str) -> None:
    start(product, namespace, 2)
    since = product.audit_lines()
    scale(product, namespace, 1)
    eventually(lambda: leaving(product, namespace), 20, "it is deleted")
    assert product.cluster.audit_log is not None
    (took_s,) = retire_s(product.cluster.audit_log, namespace, since)
    assert took_s <= 2.0


def test_a_server_that_never_finishes_goes_at_its_deadline_and_what_is_cut_is_said(
    product: Product, namespace: str
) -> None:
    host = start(product, namespace, 2, drain={"timeout": "4s"})
    stuck = [Lasting.start(product, host, "/?ms=60000") for _ in range(6)]  # on both servers
    eventually(lambda: in_flight(product, namespace) == 6, 10, "they are on their way")
    scale(product, namespace, 1)
    going = victim(product, namespace)
    named_s = time.monotonic()
    had = in_flight(product, address(product, namespace, going), "endpoint_rq_active")
    eventually(lambda: going in leaving(product, namespace), 30, "it is deleted")
    assert time.monotonic() - named_s > 3
    assert not any(request.done for request in stuck)  # its process may still finish them
    told = eventually(lambda: notes(product, namespace, "RetireDeadline"), 10, "it is said")
    cut = int(product.metric("millpond_unfinished_total", namespace=namespace, what="request"))
    assert 0 < cut == had
    what = f"{cut} request{'s' if cut > 1 else ''}"
    assert told == [f"server {going} is removed at its drain deadline with {what} and 0 streams unfinished"]


def in_flight(product: Product, of: str, what: str = "upstream_rq_active") -> float:
    """Requests that r1 has sent to servers of this namespace, or to this address, and that are not answered yet."""
    text = asking.get(f"http://{product.stats['r1']}/stats/prometheus", timeout=5).text
    lines = [line for line in text.splitlines() if line.startswith(f"envoy_cluster_{what}{{")]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if of in line)


def address(product: Product, namespace: str, pod: str) -> str:
    """ip:port"""
    return f"{product.get('pod', pod, '-n', namespace)['status']['podIP']}:8080"


def test_when_the_load_comes_back_the_draining_server_serves_again(product: Product, namespace: str) -> None:
    host = start(product, namespace, 2)
    before = names(product, namespace)
    slow = [Lasting.start(product, host, "/?ms=12000") for _ in range(4)]
    eventually(lambda: in_flight(product, namespace) == 4, 10, "they are on their way")
    scale(product, namespace, 1)
    going = victim(product, namespace)
    eventually(lambda: product.condition(namespace, "Draining")[0] == "True", 10, "it can be seen")
    assert going in product.condition(namespace, "Draining")[2]
    scale(product, namespace, 2)
    eventually(lambda: notes(product, namespace, "RetireCancelled"), 20, "the drain is cancelled")
    product.wait_serving(namespace, 2)
    assert names(product, namespace) == before
    eventually(lambda: all(request.done for request in slow), 30, "every slow request is answered")
    assert [request.error for request in slow] == [""] * 4


def test_a_visitor_stays_on_a_draining_server_until_he_leaves(product: Product, namespace: str) -> None:
    drain = {"timeout": "60s", "sessionTimeout": "3s"}
    host = start(product, namespace, 2, drain=drain, **BOUND)
    with contextlib.ExitStack() as stack:
        visitors = [stack.enter_context(Visitor.of(product, host)) for _ in range(2)]
        while len({v.server for v in visitors}) < 2:  # one on each server
            visitors.append(stack.enter_context(Visitor.of(product, host)))
        scale(product, namespace, 1)
        going = victim(product, namespace)
        guests = [v for v in visitors if v.server == going]
        wait_until(time.monotonic() + 6)  # twice the session timeout
        assert going in names(product, namespace) - leaving(product, namespace)
        assert all({server for _, server in v.answers} == {going} for v in guests)
        for guest in guests:
            guest.leave()
        left_s = time.monotonic()
        eventually(lambda: going in leaving(product, namespace), 20, "it goes after its last guest")
        assert 2 < time.monotonic() - left_s < 8
    assert not any(v.errors for v in visitors)
    assert {status for v in visitors for status, _ in v.answers} == {200}
    assert all(len({server for _, server in v.answers}) == 1 for v in visitors)
    assert notes(product, namespace, "RetireDeadline") == []


def on_both(product: Product, namespace: str, host: str, path: str) -> list[Lasting]:
    """Streams, at least one on each server."""
    streams: list[Lasting] = []
    while {stream.server for stream in streams} != names(product, namespace):
        streams.append(Lasting.start(product, host, path))
        eventually(lambda: streams[-1].server, 10, "the stream has begun")
        assert len(streams) < 20
    return streams


def test_a_stream_has_a_longer_deadline_than_a_request(product: Product, namespace: str) -> None:
    host = start(product, namespace, 2, drain={"timeout": "2s", "streamTimeout": "1m"})
    streams = on_both(product, namespace, host, "/stream?s=8")
    scale(product, namespace, 1)
    going = victim(product, namespace)
    eventually(lambda: going in leaving(product, namespace), 30, "it goes")
    told = eventually(lambda: notes(product, namespace, "ServerRetired"), 10, "it is said")
    assert told == [f"server {going} finished its requests and is removed"]
    eventually(lambda: all(stream.done for stream in streams), 30, "all streams have ended")
    assert all('"n": 8, "of": 8' in stream.text and not stream.error for stream in streams)


def test_a_stream_that_goes_on_is_cut_at_its_deadline_and_counted_apart(
    product: Product, namespace: str
) -> None:
    host = start(product, namespace, 2, drain={"timeout": "2s", "streamTimeout": "5s"})
    streams = on_both(product, namespace, host, "/stream?s=60")
    scale(product, namespace, 1)
    going = victim(product, namespace)
    told = eventually(lambda: notes(product, namespace, "RetireDeadline"), 30, "it is said")
    cut = sum(stream.server == going for stream in streams)
    what = f"{cut} stream{'s' if cut > 1 else ''}"
    assert told == [f"server {going} is removed at its drain deadline with 0 requests and {what} unfinished"]


# -- routers that hang


def tell(product: Product, router: str, number: signal.Signals) -> None:
    """A signal to the router: to Envoy as well as to what watches over it."""
    top = psutil.Process(product.routers[router].pid)
    for process in (top, *top.children(recursive=True)):
        process.send_signal(number)


def test_a_frozen_router_holds_a_retire_up_until_it_wakes(product: Product, namespace: str) -> None:
    host = start(product, namespace, 2)
    product.start_router("r2")
    eventually(lambda: product.ask(host, router="r2").status_code == 200, 20, "the second router serves")
    with under_load(product, host, router="r2"):
        tell(product, "r1", signal.SIGSTOP)
        try:
            scale(product, namespace, 1)
            going = victim(product, namespace)
            wait_until(time.monotonic() + 8)
            assert going in names(product, namespace) - leaving(product, namespace)
        finally:
            tell(product, "r1", signal.SIGCONT)
        eventually(lambda: going in leaving(product, namespace), 20, "it goes once the router has woken up")
    assert product.ask(host).status_code == 200


def test_a_router_that_is_killed_holds_nothing_up(product: Product, namespace: str) -> None:
    host = start(product, namespace, 2)
    product.start_router("r2")
    eventually(lambda: product.ask(host, router="r2").status_code == 200, 20, "the second router serves")
    with under_load(product, host, router="r2"):
        tell(product, "r1", signal.SIGSTOP)
        scale(product, namespace, 1)
        going = victim(product, namespace)
        wait_until(time.monotonic() + 5)
        assert going in names(product, namespace) - leaving(product, namespace)
        tell(product, "r1", signal.SIGKILL)
        eventually(lambda: going in leaving(product, namespace), 20, "it goes")
