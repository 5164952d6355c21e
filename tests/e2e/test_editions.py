"""Editions never change; a server that is taken away finishes what it has; a lost node is made up for."""

import pytest

from e2e.product import Product, elastic_app, template
from waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.e2e]


def test_a_changed_template_under_the_same_edition_is_refused_by_the_api_server(
    product: Product, namespace: str
) -> None:
    product.apply(elastic_app(namespace))
    with pytest.raises(Exception, match="edition"):
        product.apply(elastic_app(namespace, template=template(SLOTS="3")))


def test_a_retired_server_finishes_its_slow_requests_first(product: Product, namespace: str) -> None:
    slow = template(SLOTS="8", SERVICE_TIME_MS="3000")
    product.apply(elastic_app(namespace, mode="Manual", replicas=2, template=slow))
    product.wait_serving(namespace, 2)
    load = product.load(f"web.{namespace}.test", (90, 2))
    eventually(lambda: product.metric("millpond_servers_ready", namespace=namespace) == 2, 10, "two serve")
    eventually(lambda: load.open() >= 4, 20, "both have slow requests")
    product.cluster.kubectl("scale", "elasticapp/web", "--replicas=1", "-n", namespace)
    eventually(lambda: product.condition(namespace, "Draining")[0] == "True", 20, "one drains")

    def told() -> set[str]:
        return {e["reason"] for e in product.get("events.events.k8s.io", "-n", namespace)["items"]}

    eventually(lambda: {"RetireStarted", "ServerRetired"} <= told(), 40, "it is retired")
    product.wait_serving(namespace, 1)
    totals = load.end()
    assert totals["ok"] == totals["sent"], totals
    assert not {"RetireDeadline", "WrongServerDied"} & told()


def test_a_lost_node_is_made_up_for(product: Product, namespace: str) -> None:
    """The machine dies: its server is replaced on the other node, and requests go on meanwhile."""
    product.apply(elastic_app(namespace, servers={"min": 2, "max": 4}, template=spread(namespace)))
    product.wait_serving(namespace, 2)
    nodes = {p["spec"]["nodeName"] for p in product.pods(namespace)}
    assert nodes == {"node-1", "node-2"}
    load = product.load(f"web.{namespace}.test", (120, 10))
    product.cluster.fail_node("node-2")
    try:
        eventually(lambda: made_up_for(product, namespace), 90, "two servers serve on the other node")
        totals = load.end()
        assert totals["sent"] - totals["ok"] <= 5, totals  # only what was on the machine when it died
    finally:
        product.cluster.start_node(node_spec("node-2"))


def made_up_for(product: Product, namespace: str) -> bool:
    stay = [p for p in product.pods(namespace) if "deletionTimestamp" not in p["metadata"]]
    places = [p["spec"].get("nodeName") for p in stay]
    return places == ["node-1"] * 2 and product.servers(namespace).get("ready") == 2


def spread(namespace: str) -> dict:
    made = template()
    made["spec"]["topologySpreadConstraints"] = [
        {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": {"millpond.dev/app": "web"}},
        }
    ]
    seconds = {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 2}
    made["spec"]["tolerations"] = [
        {"key": "node.kubernetes.io/unreachable", **seconds},
        {"key": "node.kubernetes.io/not-ready", **seconds},
    ]
    return made


def node_spec(name: str):
    from millpond.local.cluster.embedded import NodeSpec

    return NodeSpec(name, labels={"millpond.dev/pool": "default"})
