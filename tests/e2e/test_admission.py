"""What admission cannot see becomes a condition before any server changes; the kill switches work."""

import pytest

from e2e.product import GOLD, POOL, Product, elastic_app, template
from waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.e2e]


def test_a_mistyped_template_is_named_in_a_condition_and_makes_no_server(
    product: Product, namespace: str
) -> None:
    bad = template()
    bad["spec"]["containers"][0]["imagee"] = "typo"
    product.apply(elastic_app(namespace, template=bad))
    status, reason, message = eventually(
        lambda: (c := product.condition(namespace, "Ready"))[0] and c, 20, "Ready is set"
    )
    assert (status, reason) == ("False", "InvalidTemplate")
    assert "imagee" in message
    assert product.get("editions,replicasets,pods", "-n", namespace)["items"] == []


def test_of_two_apps_with_one_host_the_older_is_served_and_the_younger_says_so(
    product: Product, namespace: str
) -> None:
    routes = [{"host": f"both.{namespace}.test"}]
    product.apply(elastic_app(namespace, "older", routes=routes, template=template(SLOTS="1")))
    eventually(lambda: product.condition(namespace, "Ready", "older")[0] == "True", 40, "the older is served")
    product.apply(elastic_app(namespace, "younger", routes=routes))
    status, reason, message = eventually(
        lambda: (c := product.condition(namespace, "Contested", "younger"))[0] == "True" and c,
        20,
        "the younger is contested",
    )
    assert (status, reason) == ("True", "HostTaken")
    assert routes[0]["host"] in message
    assert product.ask(routes[0]["host"]).status_code == 200
    names = [p["metadata"]["labels"]["millpond.dev/app"] for p in product.pods(namespace)]
    assert names == ["older"]


def test_a_policy_or_pool_that_this_namespace_may_not_use_starts_nothing(
    product: Product, namespace: str
) -> None:
    closed_policy = {
        **GOLD,
        "metadata": {"name": f"{namespace}-closed"},
        "spec": {**GOLD["spec"], "allowedNamespaces": ["elsewhere"]},
    }
    closed_pool = {
        **POOL,
        "metadata": {"name": f"{namespace}-closed"},
        "spec": {**POOL["spec"], "allowedNamespaces": ["elsewhere"]},
    }
    product.apply(closed_policy, closed_pool)
    try:
        product.apply(
            elastic_app(namespace, "a", sla={"policy": f"{namespace}-closed"}),
            elastic_app(namespace, "b", pool=f"{namespace}-closed"),
        )
        for name, reason in (("a", "PolicyNotAllowed"), ("b", "PoolNotAllowed")):
            eventually(lambda n=name, r=reason: product.condition(namespace, "Ready", n)[1] == r, 20, reason)
            assert "elsewhere" in product.condition(namespace, "Ready", name)[2]
        assert product.pods(namespace) == []
    finally:
        product.cluster.kubectl("delete", f"slapolicy/{namespace}-closed", f"dynamicpool/{namespace}-closed")


def test_manual_mode_obeys_kubectl_scale_and_paused_obeys_nothing(product: Product, namespace: str) -> None:
    product.apply(elastic_app(namespace, mode="Manual", replicas=1))
    product.wait_serving(namespace, 1)
    product.cluster.kubectl("scale", "elasticapp/web", "--replicas=2", "-n", namespace)
    product.wait_serving(namespace, 2)

    patch = '{"spec": {"paused": {"until": "2100-01-01T00:00:00Z", "reason": "stock-taking"}}}'
    product.cluster.kubectl("patch", "elasticapp/web", "-n", namespace, "--type=merge", "-p", patch)
    eventually(lambda: product.condition(namespace, "Paused")[0] == "True", 20, "it is paused")
    product.cluster.kubectl("scale", "elasticapp/web", "--replicas=1", "-n", namespace)
    generation = product.app(namespace)["metadata"]["generation"]
    eventually(
        lambda: product.app(namespace)["status"]["observedGeneration"] == generation, 20, "the scale was seen"
    )
    assert product.servers(namespace)["desired"] == 2
    assert product.condition(namespace, "Draining")[0] == "False"

    patch = '{"spec": {"paused": null}}'
    product.cluster.kubectl("patch", "elasticapp/web", "-n", namespace, "--type=merge", "-p", patch)
    product.wait_serving(namespace, 1)


def test_explain_prints_the_decision_and_what_it_came_from(product: Product, namespace: str) -> None:
    import subprocess
    import sys

    product.apply(elastic_app(namespace, mode="Manual", replicas=1))
    product.wait_serving(namespace, 1)
    product.cluster.kubectl("scale", "elasticapp/web", "--replicas=2", "-n", namespace)
    product.wait_serving(namespace, 2)
    argv = [sys.executable, "-m", "millpond", "explain", "web", "-n", namespace]
    done = subprocess.run(
        [*argv, "--kubeconfig", str(product.cluster.kubeconfig)], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    assert "Grow" in done.stdout
    assert "Manual" in done.stdout
