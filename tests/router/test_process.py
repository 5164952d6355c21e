"""The Envoy process: what it lets in, how it starts and how it ends."""

import asyncio
import stat

import httpx
import pytest

from router.world import World, app
from waiting import eventually

pytestmark = pytest.mark.integration


async def test_the_statistics_listener_answers_one_path_and_only_reads(world: World) -> None:
    server = await world.server("one")
    router = world.router()
    await world.settled(app(server.endpoint))
    await world.serving(router)
    await world.get(router)
    async with httpx.AsyncClient(base_url=f"http://{router.stats}") as client:
        found = await client.get("/stats/prometheus")
        assert found.status_code == 200
        assert 'envoy_cluster_upstream_rq_completed{envoy_cluster_name="shop/cart/v1"} 1' in found.text
        assert "envoy_cluster_upstream_rq_time_bucket" in found.text
        for path in (
            "/",
            "/stats",
            "/quitquitquit",
            "/config_dump",
            "/stats/prometheus/../../quitquitquit",
            "/ready",
        ):
            assert (await client.get(path)).status_code == 404, path
        for method in ("POST", "PUT", "DELETE", "HEAD"):
            assert (await client.request(method, "/stats/prometheus")).status_code == 404, method
    assert router.alive


async def test_the_admin_socket_belongs_to_its_user_alone(world: World) -> None:
    router = world.router()
    await world.settled(app())
    await world.serving(router)
    assert stat.S_IMODE(router.admin.stat().st_mode) == 0o600
    xds = world.folder / "xds.sock"
    assert stat.S_IMODE(xds.stat().st_mode) == 0o600


async def test_a_router_that_is_ended_in_order_finishes_what_runs(world: World) -> None:
    server = await world.server("one")
    router = world.router()
    await world.settled(app(server.endpoint))
    await world.serving(router)
    running = [asyncio.create_task(world.get(router, "/?sleep=1")) for _ in range(10)]
    await eventually(lambda: _reached(server, 10), 5, "all requests reached the server")
    await asyncio.to_thread(router.stop)
    assert {(await task).status for task in running} == {200}
    assert not router.alive


async def _reached(server: object, number: int) -> bool:
    return server.active == number  # type: ignore[attr-defined,no-any-return]
