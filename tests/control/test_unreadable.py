"""An app whose spec can't be read any more: what runs is routed and drained as before."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millpond.api.kinds.elasticapp import ElasticAppSpec
from millpond.api.kinds.sla import Source
from millpond.api.protocol import Protocol
from millpond.control.drain.drains import _Victim
from millpond.control.observe.grants import Grants
from millpond.control.resolve.candidates import Candidate, Resolver
from millpond.control.resolve.hosts import HostBook
from millpond.control.resolve.salvage import salvaged
from millpond.control.snapshot.apps import is_paused
from millpond_policies.reasons import Reason

from kube.builders import app, app_routes, edition, holdings, record, retiring, sibling

Raw = dict[str, Any]
FULL: Raw = app(
    protocol="HTTP2",
    affinity={"cookie": "CART"},
    drain={"timeout": "40s", "sessionTimeout": "5s"},
    routes=[{"host": "cart.test", "pathPrefix": "/shop", "timeout": "9s"}, {"host": "other.test"}],
    rollout={"strategy": "Canary", "steps": [{"header": {"name": "x-canary", "value": "yes"}}, {"weight": 50}],
             "preview": {"host": "next.test", "header": "x-edition"}},
).raw["spec"]  # fmt: skip


def spoilt(change: Callable[[Raw], Any]) -> Raw:
    spec = copy.deepcopy(FULL)
    change(spec)
    return spec


def put(at: str, value: Any) -> Callable[[Raw], None]:
    def change(spec: Raw) -> None:
        *path, last = at.split(".")
        for name in path:
            spec = spec[int(name)] if name.isdigit() else spec.setdefault(name, {})
        spec[int(last) if last.isdigit() else last] = value

    return change


UNREADABLE = [
    pytest.param(put("fromTheFuture", 1), id="a field of a newer version"),
    pytest.param(put("paused.until", "9999-12-31T23:59:60Z"), id="a date that this reader does not know"),
    pytest.param(put("drain.timeout", "1 fortnight"), id="a duration that this reader does not know"),
    pytest.param(put("routes.0.timeout", "PT9S"), id="a time limit that this reader does not know"),
    pytest.param(put("routes.0.weight", 3), id="a field of a newer version in a route"),
    pytest.param(put("routes.1.host", 7), id="one of two hosts is a number"),
    pytest.param(put("rollout.strategy", "Shadow"), id="a strategy of a newer version"),
    pytest.param(put("servers", {"min": 5, "max": 3}), id="a floor above the ceiling"),
    pytest.param(put("template", {"spec": {"containers": []}}), id="a template without containers"),
    pytest.param(put("mode", "Dreaming"), id="a mode of a newer version"),
    pytest.param(put("rollout.preview.servers", 999), id="a preview with too many servers"),
    pytest.param(put("sla.policy", None), id="no policy"),
]


def resolved(spec: Any, resolver: Resolver) -> Candidate:
    good = app()
    raw = {**good.raw, "spec": spec, "metadata": {**good.raw["metadata"], "resourceVersion": repr(spec)}}
    policy = {"metadata": {"name": "gold", "uid": "p"}, "spec": {"goal": {"type": "discretionary"}}}
    pool = {"metadata": {"name": "default", "uid": "d"}, "spec": {"nodeSelector": {}}}
    return resolver.resolve({"shop/cart": raw}, {"gold": policy}, {"default": pool})["shop/cart"]


@pytest.mark.parametrize("change", UNREADABLE)
def test_the_last_spec_that_was_read_routes_to_the_servers_of_now(change: Callable[[Raw], Any]) -> None:
    resolver = Resolver()
    before = resolved(FULL, resolver)
    assert before.problem is None
    after = resolved(spoilt(change), resolver)
    assert after.problem is not None
    assert after.problem.reason is Reason.INVALID_SPEC
    for pods in ([sibling("a")], [sibling("b", address="127.9.0.2")]):
        assert app_routes(after, holdings(*pods)) == app_routes(before, holdings(*pods))


@pytest.mark.parametrize("change", UNREADABLE)
def test_after_a_restart_what_can_be_read_of_it_routes(change: Callable[[Raw], Any]) -> None:
    after = resolved(spoilt(change), Resolver())
    assert after.problem is not None
    found = app_routes(after, holdings(sibling("a")))
    assert found is not None
    assert found.affinity_cookie == "CART"
    assert found.protocol is Protocol.HTTP2
    assert found.matches[0].host == "cart.test"
    assert found.matches[0].path_prefix == "/shop"
    assert [e.authority for edition in found.editions for e in edition.endpoints] == ["127.9.0.1:8080"]


def test_a_path_that_cannot_be_read_is_not_taken_for_all_paths() -> None:
    spec = salvaged(spoilt(put("routes.0.pathPrefix", "//")))
    assert spec is not None
    assert [(r.host, r.path_prefix) for r in spec.routes] == [("other.test", "/")]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(put("port", "http"), id="no port"),
        pytest.param(put("routes", []), id="no routes"),
        pytest.param(put("routes", "cart.test"), id="routes that are no list"),
        pytest.param(put("routes", [{"host": "Ä"}, None, 3]), id="no host that is one"),
    ],
)
def test_without_a_port_or_a_host_nothing_can_be_routed(change: Callable[[Raw], Any]) -> None:
    assert salvaged(spoilt(change)) is None
    assert app_routes(resolved(spoilt(change), Resolver()), holdings(sibling("a"))) is None


def test_who_reaches_the_edition_that_comes_is_salvaged() -> None:
    spec = salvaged(spoilt(put("mode", "Dreaming")))
    assert spec is not None
    assert spec.rollout.preview is not None
    assert (spec.rollout.preview.host, spec.rollout.preview.header) == ("next.test", "x-edition")
    assert [step.header.name if step.header else None for step in spec.rollout.planned_steps] == [
        "x-canary",
        None,
    ]


@pytest.mark.parametrize("resolver_knows_it", [True, False])
@pytest.mark.parametrize("change", UNREADABLE)
def test_a_drain_under_way_knows_its_server_and_its_sessions(
    change: Callable[[Raw], Any], resolver_knows_it: bool
) -> None:
    resolver = Resolver()
    if resolver_knows_it:
        resolved(FULL, resolver)
    found = resolved(spoilt(change), resolver)
    assert found.served is not None
    of = record(found, holdings(retiring()))
    victim = _Victim(record=of, spec=found.served, pod=retiring(), acknowledged=True)
    assert victim.endpoint == "127.9.0.1:8080"
    assert victim.counted
    sessions_s = found.served.drain.session_timeout_s
    assert sessions_s in ((5.0,) if resolver_knows_it else (5.0, 3600.0)), "never less than was asked for"
    assert not is_paused(found, 0.0)


def test_a_pause_that_can_be_read_still_holds() -> None:
    spec = {**spoilt(put("mode", "Dreaming")), "paused": {"until": "2030-01-01T00:00:00Z"}}
    assert is_paused(resolved(spec, Resolver()), 1_700_000_000.0)


def test_another_proxys_requests_are_never_taken_for_none() -> None:
    spec = salvaged(spoilt(put("sla", {"source": "prometheus", "prometheus": {"preset": "future"}})))
    assert spec is not None
    assert spec.sla.source is Source.PROMETHEUS


def test_hosts_that_an_older_app_holds_are_not_routed_to_an_app_whose_spec_is_unreadable() -> None:
    good = app()
    older = {**good.raw, "metadata": {**good.raw["metadata"], "name": "old", "uid": "old-uid"}}
    older["status"] = {"claims": [{"host": "cart.test", "pathPrefix": "/", "since": "2026-01-01T00:00:00Z"}]}
    meta = {**good.raw["metadata"], "uid": "young-uid", "creationTimestamp": "2026-02-01T00:00:00Z"}
    young = {**good.raw, "metadata": meta, "spec": {**good.raw["spec"], "mode": "Dreaming"}}
    found = HostBook().settle(Resolver().resolve({"shop/old": older, "shop/cart": young}, {}, {}), Grants())
    assert app_routes(found["shop/cart"], holdings(sibling("a"))) is None
    assert app_routes(found["shop/old"], holdings(sibling("a"))) is not None


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda of: st.lists(of, max_size=3) | st.dictionaries(st.text(max_size=5), of, max_size=3),
    max_leaves=10,
)
PLACES = [
    *FULL, "paused", "changeWindows", "routes.0", "routes.0.host", "routes.0.pathPrefix", "routes.0.timeout",
    "routes.1", "affinity.cookie", "drain.timeout", "drain.sessionTimeout", "rollout.steps", "rollout.steps.0",
    "rollout.steps.0.header", "rollout.preview", "rollout.preview.host", "sla.source", "sla.policy", "servers.max",
]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PLACES), ANYTHING), max_size=4))
def test_any_spec_is_salvaged_or_not_but_never_an_error(changes: list[tuple[str, Any]]) -> None:
    spec = copy.deepcopy(FULL)
    for at, value in changes:
        try:
            put(at, value)(spec)
        except (TypeError, AttributeError, KeyError, IndexError, ValueError):
            continue  # what was to be changed is gone already
    found = salvaged(spec)
    assert found is None or isinstance(found, ElasticAppSpec)
    app_routes(resolved(spec, Resolver()), holdings(sibling("a"), v1=edition()))


@given(ANYTHING)
def test_anything_is_salvaged_or_not(spec: Any) -> None:
    assert salvaged(spec) is None
