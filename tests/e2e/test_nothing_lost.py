"""Whatever Millpond does to servers, users notice nothing: each request is answered, and worked on exactly once."""

import pytest

from e2e.product import Product
from e2e.traffic import Traffic, app
from waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.e2e, pytest.mark.timeout(600)]

# Sessions that last (in s), and how long traffic flows before and after: the long form is in `make test-long`.
SHORT = pytest.param(2, 3, id="short")
LONG = pytest.param(15, 30, id="long", marks=pytest.mark.long)
both_lengths = pytest.mark.parametrize(("session_s", "around_s"), [SHORT, LONG])


def scale(product: Product, namespace: str, replicas: int) -> None:
    product.cluster.kubectl("scale", "elasticapp/web", f"--replicas={replicas}", "-n", namespace)


def servers_of(traffic: Traffic) -> set[str]:
    return {answer.server for answer in traffic.answers()[-300:]}


def start(product: Product, namespace: str, replicas: int) -> None:
    product.apply(app(product, namespace, mode="Manual", replicas=replicas))
    only(product, namespace, replicas)


def only(product: Product, namespace: str, servers: int, timeout_s: float = 40) -> None:
    """So many serve, and none is left that drains."""
    product.wait_serving(namespace, servers, timeout_s)
    eventually(lambda: len(product.pods(namespace)) == servers, timeout_s, "the others are gone")


@both_lengths
def test_scale_in_from_four_to_one(product: Product, namespace: str, session_s: int, around_s: int) -> None:
    start(product, namespace, 4)
    with Traffic.run(product, namespace, session_s=session_s, before_s=around_s, after_s=around_s) as traffic:
        assert len(servers_of(traffic)) == 4
        scale(product, namespace, 1)
        only(product, namespace, 1, timeout_s=150)
    assert len(servers_of(traffic)) == 1


@pytest.mark.parametrize(("session_s", "around_s"), [LONG])  # the short form: test_rollouts
def test_a_new_edition_takes_over(product: Product, namespace: str, session_s: int, around_s: int) -> None:
    start(product, namespace, 2)
    with Traffic.run(product, namespace, session_s=session_s, before_s=around_s, after_s=around_s) as traffic:
        product.apply(app(product, namespace, "v2", mode="Manual", replicas=2))
        wanted = {"v1": "Retired", "v2": "Active"}
        eventually(lambda: states(product, namespace) == wanted, 150, "v2 serves and v1 has retired")
    assert {answer.edition for answer in traffic.answers()} == {"v1", "v2"}


def states(product: Product, namespace: str) -> dict[str, str]:
    items = product.get("editions", "-n", namespace)["items"]
    return {e["spec"]["edition"]: e.get("status", {}).get("state", "") for e in items}


@both_lengths
def test_the_operator_is_killed_in_the_middle_of_a_scale_in_and_comes_back(
    product: Product, namespace: str, session_s: int, around_s: int
) -> None:
    start(product, namespace, 3)
    with Traffic.run(product, namespace, session_s=session_s, before_s=around_s, after_s=around_s) as traffic:
        scale(product, namespace, 2)
        eventually(lambda: product.condition(namespace, "Draining")[0] == "True", 20, "one drains")
        product.crash_operator()
        traffic.flow(around_s)  # routers and servers go on alone
        product.start_operator()
        only(product, namespace, 2, timeout_s=120)
    assert len(servers_of(traffic)) == 2


@pytest.mark.parametrize("alone_s", [10, pytest.param(60, marks=pytest.mark.long)])
def test_while_the_operator_is_dead_running_apps_lose_nothing(
    product: Product, namespace: str, alone_s: int
) -> None:
    start(product, namespace, 2)
    with Traffic.run(product, namespace) as traffic:
        product.crash_operator()
        traffic.flow(alone_s)
    product.start_operator()
    product.wait_serving(namespace, 2)


@both_lengths
def test_a_router_is_replaced(product: Product, namespace: str, session_s: int, around_s: int) -> None:
    """Sessions go on through the new one, with the same servers: no router remembers them."""
    start(product, namespace, 3)
    host = f"web.{namespace}.test"
    with Traffic.run(product, namespace, session_s=session_s, before_s=around_s, after_s=around_s) as traffic:
        product.start_router("r2")
        eventually(lambda: product.ask(host, router="r2").status_code == 200, 20, "the new router serves")
        traffic.to("r1", "r2")
        traffic.flow(around_s)
        traffic.to("r2")
        product.end_router("r1")
    assert not product.routers["r1"].alive
