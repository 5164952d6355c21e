"""Which apps may be acted on: those whose spec can be read and whose references are there and allow it."""

from typing import Any

import pytest

from millpond.control.resolve.candidates import Candidate, InvalidApp, Resolver, ValidApp, valid
from millpond_policies.reasons import Reason

from kube.builders import app

Raw = dict[str, Any]
GOAL = {"goal": {"type": "averageResponseTime", "target": "300ms"}}


def resolved(*, spec: Raw | None = None, policy: Raw | None = GOAL, pool: Raw | None = None) -> Candidate:
    """The app of the builders with this spec, policy and pool; ``policy`` None: there is none."""
    good = app().raw
    raw = {**good, "spec": {**good["spec"], **(spec or {})}}
    policies = {} if policy is None else {"gold": {"metadata": {"name": "gold", "uid": "p"}, "spec": policy}}
    pools = {"default": {"metadata": {"name": "default", "uid": "d"}, "spec": pool or {"nodeSelector": {}}}}
    return Resolver().resolve({"shop/cart": raw}, policies, pools)["shop/cart"]


def test_an_app_with_all_that_it_refers_to_is_valid() -> None:
    found = resolved()
    assert isinstance(found, ValidApp)
    assert found.problem is None
    assert found.served is found.spec
    assert found.goal.target_ms == 300


@pytest.mark.parametrize(("changes", "reason", "read"), [
    pytest.param({"policy": None}, Reason.POLICY_NOT_FOUND, True, id="its policy is not there"),
    pytest.param({"policy": {**GOAL, "allowedNamespaces": ["other"]}}, Reason.POLICY_NOT_ALLOWED, True,
                 id="its policy is for other namespaces"),
    pytest.param({"policy": {"goal": {"type": "none"}}}, Reason.INVALID_SPEC, True,
                 id="its policy cannot be read"),
    pytest.param({"spec": {"pool": "other"}}, Reason.POOL_NOT_FOUND, True, id="its pool is not there"),
    pytest.param({"pool": {"nodeSelector": {}, "allowedNamespaces": ["other"]}}, Reason.POOL_NOT_ALLOWED, True,
                 id="its pool is for other namespaces"),
    pytest.param({"spec": {"servers": "many"}}, Reason.INVALID_SPEC, False, id="its spec cannot be read"),
])  # fmt: skip
def test_an_app_is_invalid_when(changes: dict[str, Any], reason: Reason, read: bool) -> None:
    found = resolved(**changes)
    assert isinstance(found, InvalidApp)
    assert found.problem.reason is reason
    assert (found.spec is not None) is read


def test_only_valid_apps_may_be_acted_on() -> None:
    found = {"shop/cart": resolved(), "shop/lost": resolved(policy=None)}
    assert list(valid(found)) == ["shop/cart"]


def test_the_goal_of_an_app_without_a_pool_is_known_and_goes_on_being_measured() -> None:
    lost = resolved(spec={"pool": "other"})
    assert lost.goal is not None
    assert lost.goal.target_ms == 300
