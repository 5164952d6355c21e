"""Real Java servers: Tomcats that lose every session and cut every request when they are told to end.

Left to itself (`gracefulStopAwaitMillis` at its default), a Tomcat that gets SIGTERM breaks an answer of 8 s off after
about 3 s. So whatever survives here, survives because the server was drained before it was ended.
"""

import json
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from millpond import paths

from e2e.java import tomcat
from e2e.java.callers import Caller, SlowVisit, Visit
from e2e.product import Product, Raw
from waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.e2e]
SESSION_TIMEOUT_S = 3.0
STARTS_S = 90.0  # two Tomcats on two busy cores; alone one needs about 2 s
App = Callable[..., Raw]


@dataclass(frozen=True)
class Homes:
    java: Path
    catalina: Path


@pytest.fixture(scope="module")
def homes() -> Homes:
    try:
        return Homes(tomcat.java_home(), tomcat.catalina_home())
    except tomcat.NotHere as why:
        pytest.skip(str(why))


@pytest.fixture
def cart(homes: Homes, namespace: str) -> App:
    """The app of examples/tomcat, as two servers; each call may change its spec."""

    def made(**spec: object) -> Raw:
        documents = yaml.safe_load_all((paths.examples() / "tomcat" / "cart.yaml").read_text())
        app: Raw = next(d for d in documents if d["kind"] == "ElasticApp")
        app["metadata"] = {"name": "web", "namespace": namespace}
        (container,) = app["spec"]["template"]["spec"]["containers"]
        container["command"] = ["sh", str(paths.examples() / "tomcat" / "start.sh")]
        container["env"] += [
            {"name": "CATALINA_HOME", "value": str(homes.catalina)},
            {"name": "JRE_HOME", "value": str(homes.java)},
        ]
        app["spec"] |= {
            "pool": "e2e",
            "sla": {"policy": "e2e-gold"},
            "mode": "Manual",
            "servers": {"min": 1, "max": 4},
            "replicas": 2,
            "routes": [{"host": host_of(namespace)}],
            "drain": drain("30s"),
            **spec,
        }
        return app

    return made


@pytest.fixture
def come(product: Product, namespace: str) -> Iterator[Callable[..., Caller]]:
    """Lets somebody come who asks again and again, until the test is over."""
    with ExitStack() as crowd:
        url = f"http://{product.addresses['r1']}/"
        yield lambda **how: crowd.enter_context(Caller(url, host_of(namespace), **how))


def drain(timeout: str) -> dict[str, str]:
    return {"timeout": timeout, "sessionTimeout": f"{SESSION_TIMEOUT_S:g}s"}


def host_of(namespace: str) -> str:
    return f"web.{namespace}.test"


def draining(product: Product, namespace: str) -> set[str]:
    """Names of the servers that were named as victims and are not being deleted yet."""
    return {
        pod["metadata"]["name"]
        for pod in product.pods(namespace)
        if "millpond.dev/retire" in pod["metadata"].get("annotations", {})
        and "deletionTimestamp" not in pod["metadata"]
    }


def remaining(product: Product, namespace: str) -> set[str]:
    """Names of the servers that are not being deleted."""
    pods = (pod["metadata"] for pod in product.pods(namespace))
    return {meta["name"] for meta in pods if "deletionTimestamp" not in meta}


def reasons(product: Product, namespace: str) -> set[str]:
    return {e["reason"] for e in product.get("events.events.k8s.io", "-n", namespace)["items"]}


def test_sessions_in_a_servers_memory_survive_a_rolling_swap(
    product: Product, namespace: str, cart: App, come: Callable[..., Caller]
) -> None:
    """Each old server keeps its sessions, one until its caller leaves, one until the deadline of the drain."""
    product.apply(cart())
    product.wait_serving(namespace, 2, STARTS_S)
    at: dict[str, Caller] = {}  # by server
    while len(at) < 2:
        caller = come()
        if at.setdefault(caller.wait_for_more(1)[0].server, caller) is not caller:
            caller.leave()
    newcomers = come(stays=False)

    product.apply(cart(edition="v2"))
    first = old_server_that_drains(product, namespace, at)
    leaving, staying = at.pop(first), *at.values()
    seen = leaving.wait_for_more(int(2 * SESSION_TIMEOUT_S / leaving.every_s))
    assert {v.server for v in seen} == {first}
    assert first in remaining(product, namespace)
    product.apply(cart(edition="v2", drain=drain("8s")))  # of the next drain
    leaving.leave()
    eventually(lambda: first not in remaining(product, namespace), 20, "it goes after its session")
    assert "RetireDeadline" not in reasons(product, namespace)

    second = old_server_that_drains(product, namespace, at)
    eventually(lambda: staying.visits[-1].edition == "v2", 30, "who never leaves is moved at the deadline")
    eventually(lambda: "RetireDeadline" in reasons(product, namespace), 10, "the deadline is told")
    eventually(lambda: states(product, namespace) == {"v1": "Retired", "v2": "Active"}, 60, "v1 has retired")
    new = [*newcomers.wait_for_more(10), leaving.ask()]
    staying.leave()
    newcomers.leave()

    assert [[v.visits for v in visits] for visits in leaving.sessions] == [counted(leaving.visits)]
    assert leaving.failures == staying.failures == newcomers.failures == []
    before, after = staying.sessions
    assert [before[0].server, before[0].edition, after[0].edition] == [second, "v1", "v2"]
    assert [v.visits for v in before] == counted(before)
    assert [v.visits for v in after] == counted(after)
    assert {(v.status, v.edition, v.visits) for v in new} == {(200, "v2", 1)}


def counted(visits: list[Visit]) -> list[int]:
    """What a session counts that never begins anew."""
    return list(range(1, len(visits) + 1))


def old_server_that_drains(product: Product, namespace: str, old: Collection[str]) -> str:
    found = eventually(lambda: draining(product, namespace) & set(old), STARTS_S, "an old server drains")
    (victim,) = found
    return str(victim)


def states(product: Product, namespace: str) -> dict[str, str]:
    items = product.get("editions", "-n", namespace)["items"]
    return {e["spec"]["edition"]: e.get("status", {}).get("state", "") for e in items}


def test_an_answer_that_takes_8_s_survives_a_scale_in(
    product: Product, namespace: str, cart: App, come: Callable[..., Caller]
) -> None:
    product.apply(cart())
    product.wait_serving(namespace, 2, STARTS_S)
    newcomers = come(stays=False)
    url = f"http://{product.addresses['r1']}/?sleep=8000"
    slow: list[SlowVisit] = []
    while len({s.server for s in slow}) < 2:  # so that the victim has one, whichever it will be
        slow.append(SlowVisit(url, host_of(namespace)))

    product.cluster.kubectl("scale", "elasticapp/web", "--replicas=1", "-n", namespace)
    (victim,) = eventually(lambda: draining(product, namespace), 10, "one server drains")
    running = [s for s in slow if s.server == victim and not s.ended]
    assert running, "its answer was still under way when the drain began"

    def over() -> bool:
        return all(s.ended for s in running) or victim not in remaining(product, namespace)

    eventually(over, 30, "its answer is complete, or it is deleted")
    assert all(s.ended for s in running), "it was deleted before its answer was complete"
    answers = [s.result() for s in slow]
    assert {status for status, _ in answers} == {200}
    assert all(json.loads(body)["server"] == s.server for s, (_, body) in zip(slow, answers, strict=True))
    eventually(lambda: len(remaining(product, namespace)) == 1, 20, "then it goes")
    assert victim not in remaining(product, namespace)
    newcomers.leave()
    assert newcomers.failures == []
    assert {"RetireDeadline", "WrongServerDied"}.isdisjoint(reasons(product, namespace))
