"""Clients of both families of addresses come in at one router, where the machine has both."""

import ipaddress
import json

import pytest

from millpond.router import addresses
from millpond.router.addresses import listening, spelled

from router.test_edge import Mirror
from router.world import World, app


@pytest.mark.integration
@pytest.mark.parametrize("client", ["127.0.0.1", "::1"])
async def test_a_router_on_all_addresses_serves_clients_of_either_family(world: World, client: str) -> None:
    port = world.address().rpartition(":")[2]
    server = await world.server("mirror", Mirror)
    router = world.router(listen=f"[::]:{port}")
    await world.settled(app(server.endpoint))
    await world.serving(router)
    host = f"[{client}]" if ":" in client else client
    async with world.http.get(f"http://{host}:{port}/", headers={"host": "shop.test"}) as answer:
        told = json.loads(await answer.text())
    assert answer.status == 200
    # Of a loopback client it says the machine's own address; an IPv4 one is never told as IPv6.
    assert ipaddress.ip_address(told["x-forwarded-for"]).version == 4 or ":" in client


@pytest.mark.parametrize(("text", "found"), [
    pytest.param("fd00:0:0::1:8001", "[fd00::1]:8001", id="a pod's IPv6 address and a port, as a chart writes it"),
    pytest.param("[FD00::1]:8001", "[fd00::1]:8001", id="with brackets"),
    pytest.param("10.0.0.1:8001", "10.0.0.1:8001", id="IPv4"),
    pytest.param("router.test:8001", "router.test:8001", id="a name"),
    pytest.param("nonsense", "nonsense", id="no address"),
])  # fmt: skip
def test_an_address_has_one_spelling(text: str, found: str) -> None:
    assert spelled(text) == found


def test_all_addresses_are_those_of_ipv4_on_a_machine_without_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    assert listening("[::]:8000") == "[::]:8000"
    monkeypatch.setattr(addresses, "has_ipv6", lambda: False)
    assert [listening(text) for text in ("[::]:8000", "[::1]:8000", "0.0.0.0:8000")] == [
        "0.0.0.0:8000",
        "[::1]:8000",
        "0.0.0.0:8000",
    ]
