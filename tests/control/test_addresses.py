"""A server is one and the same to routes, telemetry and drains, however its pod's address is spelled."""

from dataclasses import replace
from typing import Any

import pytest

from millpond.control.drain import drains
from millpond.control.learn.learner import Learner
from millpond.router.telemetry.collector import Collected, EndpointLoad, Scope, Telemetry

from kube import builders

NOW_S = 1000.0


@pytest.mark.parametrize(("address", "told"), [
    pytest.param("127.9.0.1", "127.9.0.1", id="IPv4"),
    pytest.param("::1", "[::1]", id="IPv6"),
    pytest.param("fd00:0:0:12::0:a", "[fd00:0:0:12::a]", id="IPv6 with needless zeros"),
    pytest.param("FD00::0A", "[fd00::a]", id="IPv6 in capitals"),
    pytest.param("::ffff:10.0.0.7", "[::ffff:10.0.0.7]", id="IPv4 within IPv6"),
])  # fmt: skip
def test_a_servers_load_is_found_by_the_name_that_routers_tell(address: str, told: str) -> None:
    pod, app = replace(builders.POD, address=address), builders.app()
    name = f"{told}:{app.spec.port}"
    learner = Learner(
        telemetry=Telemetry(clock=lambda: NOW_S, known=_nothing),
        clock=lambda: NOW_S,
    )
    learner._take_loads(_collected(name))
    load = learner.load(pod, app.spec.port, NOW_S)
    assert load is not None
    assert load.in_flight == 5
    held = builders.holdings(pod)
    record = builders.record(app, held)
    victim = drains._Victim(record=record, spec=app.spec, pod=pod, acknowledged=True)
    assert victim.endpoint == name
    routes = builders.app_routes(app, held)
    assert routes is not None
    assert [e.authority for edition in routes.editions for e in edition.endpoints] == [name]


def _nothing() -> Scope:
    return Scope(routers=(), clusters=(), endpoints=())


def _collected(endpoint: str) -> Any:
    load = EndpointLoad(active=5, pending=0, total=9, at_s=NOW_S)
    return Collected(at_s=NOW_S, complete=True, window_s=1.0, editions={}, endpoints={endpoint: load})
