"""What must hold when a part fails: ignorance takes nothing away, a restart changes nothing, nothing stays."""

import pytest

from e2e.product import Product, Raw, elastic_app, template
from waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.e2e, pytest.mark.timeout(400)]


def test_an_operator_killed_in_mid_scale_goes_on_where_it_was_and_loses_no_request(
    product: Product, namespace: str
) -> None:
    calm = template(START_DELAY_S="2", SLOTS="4", SERVICE_TIME_MS="100")  # as in test_scaling
    product.apply(elastic_app(namespace, template=calm))
    product.wait_serving(namespace)
    before, first = product.audit_lines(), _generation(product, namespace)
    load = product.load(f"web.{namespace}.test", (8, 12), (120, 55))
    eventually(lambda: product.ordered(namespace) == 2, 40, "a second server is ordered")
    product.crash_operator()
    product.start_operator()
    eventually(lambda: _all_serve(product, namespace, 2), 40, "all that were ordered serve")
    eventually(lambda: _learned(product, namespace), 20, "what it knew is kept")
    totals = load.end()
    assert totals["ok"] == totals["sent"], totals

    def writes() -> list[Raw]:
        return [w for w in product.operator_writes(before) if w.get("namespace") == namespace]

    created = [w["resource"] for w in writes() if w["verb"] == "create" and w["resource"] != "events"]
    assert created == []  # nothing twice: the edition and its ReplicaSet were there before

    def orders() -> int:
        patches = [w for w in writes() if (w["resource"], w["verb"]) == ("replicasets", "patch")]
        return len([w for w in patches if w["code"] == 200])

    # While nobody leads, so many requests may gather that one server more is right to get through them.
    each = "each order changed the spec: none was given twice"
    eventually(lambda: 1 <= orders() == _generation(product, namespace) - first, 10, each)


def test_with_every_router_silent_no_server_is_taken_away(product: Product, namespace: str) -> None:
    product.apply(elastic_app(namespace, mode="Manual", replicas=2))
    product.wait_serving(namespace, 2)
    product.routers["r1"].kill()
    patch = '{"spec": {"mode": "Automatic"}}'
    product.cluster.kubectl("patch", "elasticapp/web", "-n", namespace, "--type=merge", "-p", patch)
    eventually(
        lambda: (
            product.condition(namespace, "MetricsAvailable")[:2]
            in (("False", "MetricsStale"), ("False", "MetricsPartial"))
        ),
        30,
        "the operator says that it does not know",
    )
    holds = eventually(
        lambda: [d for d in product.app(namespace)["status"]["decisions"] if d["action"] == "Hold"],
        20,
        "the hold is recorded",
    )
    assert holds[0]["reason"] in ("MetricsStale", "MetricsPartial")
    assert product.ordered(namespace) == 2


def test_two_routers_both_serve_and_a_late_one_gets_the_state(product: Product, namespace: str) -> None:
    product.apply(elastic_app(namespace))
    product.wait_serving(namespace)
    product.start_router("late")
    host = f"web.{namespace}.test"
    eventually(lambda: product.ask(host, router="late").status_code == 200, 20, "the late router serves")
    assert product.ask(host).status_code == 200


def test_deleting_the_app_deletes_everything_it_made(product: Product, namespace: str) -> None:
    product.apply(elastic_app(namespace))
    product.wait_serving(namespace)
    product.cluster.kubectl("delete", "elasticapp/web", "-n", namespace, "--timeout=30s")
    eventually(
        lambda: product.get("editions,replicasets,pods", "-n", namespace)["items"] == [],
        40,
        "nothing is left",
    )
    host = f"web.{namespace}.test"
    eventually(lambda: product.ask(host).status_code == 404, 20, "its route is gone")


@pytest.mark.alone  # what is learned moves with what else the machine has to do
@pytest.mark.parametrize("silent_s", [30, pytest.param(60, marks=pytest.mark.long)])
def test_settled_means_silent(product: Product, namespace: str, silent_s: int) -> None:
    """While the load is steady the operator writes nothing but its Lease."""
    product.apply(elastic_app(namespace))
    product.wait_serving(namespace)
    load = product.load(f"web.{namespace}.test", (180, 15), arrivals="poisson")
    eventually(lambda: product.condition(namespace, "SLAMet")[0] == "True", 30, "the goal is met")
    eventually(lambda: load.seconds() > 30, 60, "half a minute is over")
    before = product.audit_lines()
    eventually(lambda: load.seconds() > 30 + silent_s, 30 + silent_s, "and that long again nothing changes")
    writes = [w for w in product.operator_writes(before) if w.get("namespace") == namespace]
    totals = load.end()
    assert totals["ok"] == totals["sent"], totals
    assert writes == []


def _all_serve(product: Product, namespace: str, least: int) -> bool:
    found = product.servers(namespace)
    return found.get("desired") == found.get("ready", 0) >= least


def _learned(product: Product, namespace: str) -> Raw:
    found: Raw = product.get("edition", "web-v1", "-n", namespace)["status"].get("learned", {})
    return found


def _generation(product: Product, namespace: str) -> int:
    """How often the spec of the app's ReplicaSet was changed."""
    (owned,) = product.get("replicasets", "-n", namespace)["items"]
    generation: int = owned["metadata"]["generation"]
    return generation
