"""New editions under traffic: whatever the strategy, no request and no session is lost; the unsound are taken back."""

from typing import Any

import pytest

import asking
from e2e import traffic
from e2e.product import Product
from e2e.traffic import Traffic
from waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.e2e, pytest.mark.timeout(400)]
QUICK = {"soak": "2s", "analysis": {"minRequests": 30}}
CANARY = {
    **QUICK,
    "strategy": "Canary",
    "steps": [
        {"header": {"name": "x-canary", "value": "yes"}, "approval": True},
        {"weight": 30, "pause": "3s"},
    ],
}
TWO = {"servers": {"min": 2, "max": 4}}


def rollout(product: Product, namespace: str) -> dict[str, Any]:
    found: dict[str, Any] = product.app(namespace).get("status", {}).get("rollout") or {}
    return found


def wait_phase(product: Product, namespace: str, edition: str, phase: str, timeout_s: float = 90) -> None:
    def reached() -> bool:
        found = rollout(product, namespace)
        return (found.get("edition"), found.get("phase")) == (edition, phase)

    try:
        eventually(reached, timeout_s, f"{edition} is {phase}")
    except AssertionError as error:
        raise AssertionError(f"{error}: {rollout(product, namespace)}") from error


def alone(product: Product, namespace: str, edition: str) -> None:
    """Only this edition has servers, and they serve."""

    def settled() -> bool:
        editions = {p["metadata"]["labels"]["millpond.dev/edition"] for p in product.pods(namespace)}
        return editions == {edition} and product.servers(namespace).get("draining") == 0

    eventually(settled, 90, f"only {edition} is left")


def start(product: Product, namespace: str, **spec: Any) -> None:
    product.apply(traffic.app(product, namespace, **TWO, **spec))
    product.wait_serving(namespace, 2)


@pytest.mark.parametrize("strategy", ["Rolling", "Atomic", "BlueGreen"])
def test_a_new_edition_takes_over_and_nothing_is_lost(
    product: Product, namespace: str, strategy: str
) -> None:
    how = {**QUICK, "strategy": strategy}
    start(product, namespace, rollout=how)
    with Traffic.run(product, namespace, one_server=strategy != "Rolling"):
        product.apply(traffic.app(product, namespace, "v2", **TWO, rollout=how))
        wait_phase(product, namespace, "v2", "Completed")
        alone(product, namespace, "v2")


def test_a_canary_goes_step_by_step_and_nothing_is_lost(product: Product, namespace: str) -> None:
    start(product, namespace, rollout=CANARY)
    with Traffic.run(product, namespace):
        product.apply(traffic.app(product, namespace, "v2", **TWO, rollout=CANARY))
        eventually(lambda: rollout(product, namespace).get("needs") == "promote", 60, "it waits for somebody")
        wanted = {"Host": f"web.{namespace}.test", "x-canary": "yes"}
        asked = asking.get(f"http://{product.addresses['r1']}/", headers=wanted, timeout=10)
        assert (asked.status_code, asked.headers["x-edition"]) == (200, "v2")
        promoted = {**CANARY, "promote": {"edition": "v2", "step": 1}}
        product.apply(traffic.app(product, namespace, "v2", **TWO, rollout=promoted))
        eventually(lambda: rollout(product, namespace).get("weight") == 30, 60, "30 % of the new sessions")
        wait_phase(product, namespace, "v2", "Completed")
        alone(product, namespace, "v2")


def test_a_slow_canary_is_taken_back_and_nothing_is_lost(product: Product, namespace: str) -> None:
    how = {**QUICK, "strategy": "Canary", "steps": [{"weight": 20, "pause": "30s"}]}
    start(product, namespace, rollout=how)
    with Traffic.run(product, namespace, slow=0):
        slow = traffic.app(product, namespace, "v2", **TWO, rollout=how)
        env = slow["spec"]["template"]["spec"]["containers"][0]["env"]
        next(e for e in env if e["name"] == "SERVICE_TIME_MS")["value"] = "900"
        product.apply(slow)
        wait_phase(product, namespace, "v2", "RolledBack")
        assert rollout(product, namespace)["reason"] == "EditionSlow"
        alone(product, namespace, "v1")
    status, reason, _ = product.condition(namespace, "RollingOut")
    assert (status, reason) == ("False", "EditionSlow")


def test_an_edition_that_never_starts_is_taken_back_and_one_that_waits_can_be_aborted(
    product: Product, namespace: str
) -> None:
    how = {**QUICK, "deadline": "10s"}
    start(product, namespace, rollout=how)
    bad = traffic.app(product, namespace, "v2", **TWO, rollout=how)
    bad["spec"]["template"]["spec"]["containers"][0]["readinessProbe"]["httpGet"]["path"] = "/nowhere"
    product.apply(bad)
    wait_phase(product, namespace, "v2", "RolledBack")
    assert rollout(product, namespace)["reason"] == "DeadlineExceeded"
    alone(product, namespace, "v1")
    bad["spec"]["edition"] = "v3"
    bad["spec"]["rollout"] = {**QUICK, "abort": "v3"}
    product.apply(bad)
    wait_phase(product, namespace, "v3", "Aborted")
    alone(product, namespace, "v1")
    product.wait_serving(namespace, 2)


def test_going_back_in_the_middle_and_forward_again(product: Product, namespace: str) -> None:
    how = {**QUICK, "strategy": "Canary", "steps": [{"weight": 50, "pause": "1h"}]}
    start(product, namespace, rollout=how)
    with Traffic.run(product, namespace):
        product.apply(traffic.app(product, namespace, "v2", **TWO, rollout=how))
        eventually(lambda: rollout(product, namespace).get("weight") == 50, 60, "half of the new sessions")
        product.apply(traffic.app(product, namespace, "v1", **TWO, rollout=how))
        wait_phase(product, namespace, "v1", "Completed")  # it serves already
        alone(product, namespace, "v1")
    atomic = {**QUICK, "strategy": "Atomic"}
    product.apply(traffic.app(product, namespace, "v2", **TWO, rollout=atomic))
    wait_phase(product, namespace, "v2", "Completed")
    alone(product, namespace, "v2")
