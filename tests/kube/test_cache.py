"""The cache follows the real API server through everything that can happen to a connection."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from millpond.clock import steady_s
from millpond.kube import paths
from millpond.kube.cache import Reflector
from millpond.kube.client import Api, Object

from kube.fault_proxy import FaultProxy, Seen, Status
from waiting import eventually_async

pytestmark = pytest.mark.integration


def maps(namespace: str, name: str = "") -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps" + (f"/{name}" if name else "")


def configmap(name: str, value: str = "0") -> Object:
    meta = {"name": name, "labels": {"for": "test"}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"value": value}}


@asynccontextmanager
async def following(api: Api, namespace: str, watch_s: float = 50.0) -> AsyncIterator[Reflector[str]]:
    reflector = Reflector(
        api,
        maps(namespace),
        "for=test",
        keep=lambda obj: str(obj["data"]["value"]),
        watch_s=watch_s,
        grace_s=1.0,
    )
    reflector.start()
    try:
        await reflector.wait_synced()
        yield reflector
    finally:
        await reflector.stop()


def holds(reflector: Reflector[str], namespace: str, **values: str) -> Callable[[], bool]:
    expected = {f"{namespace}/{name}": value for name, value in values.items()}
    return lambda: dict(reflector.store.items()) == expected


async def test_it_follows_create_update_delete(api: Api, namespace: str) -> None:
    await api.create(maps(namespace), configmap("a"))
    async with following(api, namespace) as reflector:
        assert holds(reflector, namespace, a="0")()
        await api.create(maps(namespace), configmap("b"))
        await api.patch(maps(namespace, "a"), {"data": {"value": "1"}})
        await eventually_async(holds(reflector, namespace, a="1", b="0"), 10, "both changes are seen")
        await api.delete(maps(namespace, "a"))
        await eventually_async(holds(reflector, namespace, b="0"), 10, "the deletion is seen")
        await api.patch(maps(namespace, "b"), {"metadata": {"labels": {"for": "others"}}})
        await eventually_async(holds(reflector, namespace), 10, "what is not selected any more is gone")
        assert reflector.relists == 1


async def test_it_follows_across_many_watches_without_listing_again(api: Api, namespace: str) -> None:
    async with following(api, namespace, watch_s=1.0) as reflector:
        started_s = steady_s()
        for n in range(1, 16):
            await api.patch(maps(namespace, "a"), configmap("a", str(n)), kind="apply")
            await eventually_async(holds(reflector, namespace, a=str(n)), 10, f"change {n} is seen")
            await eventually_async(lambda n=n: steady_s() - started_s > n * 0.15, 5, "time passes")
        assert reflector.relists == 1


async def test_after_410_the_list_leaves_no_ghost(
    proxied: Api, proxy: FaultProxy, api: Api, namespace: str
) -> None:
    """A deletion is missed, and by the time of the next watch the server's history does not reach back to it."""
    ghost, alive = f"{namespace}-ghost", f"{namespace}-alive"
    for name in (ghost, alive):
        await api.create(paths.slapolicies(), policy(name, namespace))
    proxy.filter_watches(lambda _, event: event["type"] not in ("DELETED", "BOOKMARK"))
    reflector = Reflector(
        proxied,
        paths.slapolicies(),
        f"for={namespace}",
        keep=lambda obj: obj["spec"]["importance"],
        watch_s=2,
    )
    reflector.start()
    await reflector.wait_synced()
    await api.delete(paths.slapolicies(ghost))
    await api.patch(paths.slapolicies(alive), {"spec": {"importance": 2}})
    wrong, right = {ghost: 4, alive: 2}, {alive: 2}
    await eventually_async(lambda: dict(reflector.store.items()) == wrong, 10, "the deletion is missed")
    proxy.rewrite_query(from_the_beginning)
    await eventually_async(lambda: dict(reflector.store.items()) == right, 15, "the ghost is gone")
    assert reflector.relists > 1
    await reflector.stop()
    await api.delete(paths.slapolicies(alive))


def policy(name: str, label: str) -> Object:
    spec = {"goal": {"type": "averageResponseTime", "target": "300ms"}, "importance": 4}
    meta = {"name": name, "labels": {"for": label}}
    return {"apiVersion": "millpond.dev/v1alpha1", "kind": "SLAPolicy", "metadata": meta, "spec": spec}


def from_the_beginning(seen: Seen) -> Mapping[str, str]:
    """Watch from version 1, older than our kinds themselves: a real API server answers 410 Gone."""
    return {**seen.query, "resourceVersion": "1"} if seen.watch else seen.query


@pytest.mark.parametrize("code", [403, 410, 500])
async def test_a_watch_that_is_refused_is_taken_up_again(
    proxied: Api, proxy: FaultProxy, api: Api, namespace: str, code: int
) -> None:
    injection = proxy.inject(lambda seen: seen.watch, Status(code), times=2)
    async with following(proxied, namespace) as reflector:
        await eventually_async(lambda: injection.hits == 2, 10, "the watch was refused twice")
        await api.create(maps(namespace), configmap("a"))
        await eventually_async(holds(reflector, namespace, a="0"), 10, "it follows again")


async def test_a_stuck_watch_is_noticed_and_replaced(
    proxied: Api, proxy: FaultProxy, api: Api, namespace: str
) -> None:
    async with following(proxied, namespace, watch_s=1.0) as reflector:
        proxy.freeze_watches()
        await api.create(maps(namespace), configmap("missed"))
        await eventually_async(lambda: reflector.store.age_s(steady_s()) > 1.5, 10, "its age shows it")
        assert holds(reflector, namespace)()
        proxy.thaw_watches()
        await eventually_async(
            holds(reflector, namespace, missed="0"), 15, "a new watch tells what was missed"
        )
        await eventually_async(lambda: reflector.store.age_s(steady_s()) < 1.0, 10, "it is young again")


async def test_an_object_that_cannot_be_read_does_not_end_the_watch(api: Api, namespace: str) -> None:
    async with following(api, namespace) as reflector:
        broken: dict[str, Any] = configmap("broken")
        del broken["data"]
        await api.create(maps(namespace), broken)
        await eventually_async(lambda: reflector.store.unread == 1, 10, "it is left out")
        assert reflector.relists == 1
        await api.patch(maps(namespace, "broken"), {"data": {"value": "mended"}})
        await eventually_async(holds(reflector, namespace, broken="mended"), 20, "it goes on")
