"""What admission cannot see becomes a condition before any server changes; the kill switches work.

Nothing of a new edition starts before it may: a change window, the approval of a major edition.
"""

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from millpond.api.approval import Approval
from millpond.api.names import APPROVAL_ANNOTATION, EMERGENCY_ANNOTATION
from millpond.local.cluster.embedded import KubectlError

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


def rolling_out(product: Product, namespace: str, **expected: str) -> dict[str, Any]:
    """status.rollout, once it says what is expected."""

    def told() -> dict[str, Any] | None:
        found: dict[str, Any] = product.app(namespace).get("status", {}).get("rollout") or {}
        return found if expected.items() <= found.items() else None

    return eventually(told, 60, f"the rollout says {expected}") or {}


def editions_with_servers(product: Product, namespace: str) -> set[str]:
    return {pod["metadata"]["labels"]["millpond.dev/edition"] for pod in product.pods(namespace)}


QUICK = {"strategy": "Atomic", "soak": "0s"}


def test_a_major_edition_starts_once_somebody_else_than_its_submitter_has_approved_it(
    product: Product, namespace: str
) -> None:
    kubectl, where = product.cluster.kubectl, f"--namespace={namespace}"
    kubectl("create", "rolebinding", "e", "--clusterrole=edit", "--user=lea", where)
    kubectl(
        "create", "rolebinding", "a", "--clusterrole=millpond-approver", "--user=lea", "--user=ann", where
    )
    product.apply(elastic_app(namespace, rollout=QUICK))
    product.wait_serving(namespace, 1)
    major = elastic_app(namespace, edition="v2", template=template(A="2"), rollout=QUICK | {"major": True})
    kubectl("apply", "--as=lea", "--filename=-", stdin=json.dumps(major))
    waits = rolling_out(product, namespace, edition="v2", phase="Waiting", needs="approve")
    assert waits["reason"] == "WaitsForApproval"

    def approve(by: str) -> None:
        note = f"{APPROVAL_ANNOTATION}={Approval(by, 'load test passed').text()}"
        kubectl("annotate", "edition/web-v2", note, f"--as={by}", where)

    with pytest.raises(KubectlError, match='"lea" submitted Edition "web-v2": somebody else must approve it'):
        approve("lea")
    assert editions_with_servers(product, namespace) == {"v1"}
    approve("ann")
    rolling_out(product, namespace, edition="v2", phase="Completed")
    eventually(lambda: product.app(namespace)["status"]["edition"] == "v2", 10, "status says so")


def closed_now() -> tuple[dict[str, str], str]:
    """A change window that opens in three hours, and when that is."""
    start = datetime.fromtimestamp(time.time(), UTC).replace(second=0, microsecond=0) + timedelta(hours=3)
    window = {"start": f"{start:%H:%M}", "end": f"{start + timedelta(hours=1):%H:%M}", "timeZone": "UTC"}
    return window, f"{start:%Y-%m-%dT%H:%M:%SZ}"


def test_outside_its_change_window_a_rollout_waits_and_an_emergency_is_recorded_with_its_reason(
    product: Product, namespace: str
) -> None:
    kubectl, where = product.cluster.kubectl, f"--namespace={namespace}"
    kubectl("create", "rolebinding", "e", "--clusterrole=edit", "--user=tom", where)
    window, opens = closed_now()
    product.apply(elastic_app(namespace, changeWindows=[window], rollout=QUICK))
    product.wait_serving(namespace, 1)
    product.apply(
        elastic_app(namespace, changeWindows=[window], rollout=QUICK, edition="v2", template=template(A="2"))
    )
    waits = rolling_out(product, namespace, edition="v2", phase="Waiting")
    assert (waits["reason"], waits["until"]) == ("OutsideChangeWindow", opens)
    told = ("True", "OutsideChangeWindow")
    eventually(lambda: product.condition(namespace, "RollingOut")[:2] == told, 10, "a condition says so")
    assert editions_with_servers(product, namespace) == {"v1"}

    why = '{"spec": {"rollout": {"emergency": "v1 loses orders", "emergencyEdition": "v2"}}}'
    kubectl("patch", "elasticapp/web", "--type=merge", "--as=tom", "-p", why, where)
    done = rolling_out(product, namespace, edition="v2", phase="Completed")
    assert (done["emergency"], done["emergencyBy"]) == ("v1 loses orders", "tom")
    assert product.app(namespace)["metadata"]["annotations"][EMERGENCY_ANNOTATION] == "tom"


def test_an_unknown_time_zone_is_a_condition_and_starts_nothing(product: Product, namespace: str) -> None:
    mars = [{"start": "00:00", "end": "00:00", "timeZone": "Mars/Base"}]
    product.apply(elastic_app(namespace, changeWindows=mars, rollout=QUICK))
    product.wait_serving(namespace, 1)
    product.apply(
        elastic_app(namespace, changeWindows=mars, rollout=QUICK, edition="v2", template=template(A="2"))
    )
    rolling_out(product, namespace, edition="v2", phase="Waiting")
    told = ("True", "OutsideChangeWindow")
    eventually(lambda: product.condition(namespace, "RollingOut")[:2] == told, 10, "a condition says so")
    message = product.condition(namespace, "RollingOut")[2]
    assert 'spec.changeWindows[0].timeZone: "Mars/Base" is not a known time zone' in message
    assert editions_with_servers(product, namespace) == {"v1"}
