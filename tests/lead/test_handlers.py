"""kopf wakes the cycle on every change of our kinds, and writes nothing."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from millpond.control.observe import objects
from millpond.kube import paths
from millpond.kube.cache import Reflector
from millpond.kube.client import Api, Object
from millpond.kube.decode import TOO_DEEP
from millpond.kube.login import Login
from millpond.lead.handlers import KopfThread
from millpond.local.cluster.embedded import Cluster

from kube.fault_proxy import FaultProxy, Status
from waiting import eventually_async

pytestmark = pytest.mark.integration


@pytest.fixture
async def woken() -> list[str]:
    return []


@pytest.fixture
async def kopf_thread(proxy: FaultProxy, woken: list[str]) -> AsyncIterator[KopfThread]:
    thread = KopfThread(woken.append, Login(proxy.kubeconfig))
    thread.start()
    yield thread
    await thread.stop()
    assert not thread.alive


def policy(name: str) -> Object:
    goal = {"type": "averageResponseTime", "target": "300ms"}
    return {
        "apiVersion": "millpond.dev/v1alpha1",
        "kind": "SLAPolicy",
        "metadata": {"name": name},
        "spec": {"goal": goal},
    }


async def test_a_change_wakes_the_cycle_and_kopf_writes_nothing(
    kopf_thread: KopfThread, woken: list[str], api: Api, proxy: FaultProxy, namespace: str
) -> None:
    name = f"policy-{namespace}"

    async def watching() -> bool:
        return {s.path for s in proxy.seen if s.watch} >= {paths.slapolicies(), paths.elasticapps()}

    await eventually_async(watching, 20, "kopf watches our kinds")
    await api.create(paths.slapolicies(), policy(name))
    await eventually_async(lambda: woken.count(f"slapolicies {name}") >= 1, 10, "the creation wakes")
    woken.clear()
    await api.patch(paths.slapolicies(name), {"spec": {"importance": 2}})
    await eventually_async(lambda: f"slapolicies {name}" in woken, 10, "the change wakes")
    woken.clear()
    await api.delete(paths.slapolicies(name))
    await eventually_async(lambda: f"slapolicies {name}" in woken, 10, "the deletion wakes")
    assert proxy.writes() == []


async def test_when_kopf_ends_by_itself_that_is_known(proxy: FaultProxy, woken: list[str]) -> None:
    proxy.inject(lambda seen: True, Status(401))
    thread = KopfThread(woken.append, Login(proxy.kubeconfig))
    thread.start()
    with pytest.raises(RuntimeError, match="kopf has ended: Ran out of valid credentials"):
        await asyncio.wait_for(thread.ended(), 30)
    assert not thread.alive
    await thread.stop()


async def test_of_chosen_namespaces_it_watches_those_that_it_is_told_are_there(
    proxy: FaultProxy, woken: list[str]
) -> None:
    there, absent = "default", "not-there-yet"
    thread = KopfThread(woken.append, Login(proxy.kubeconfig), (there, absent))
    thread.start()
    try:
        thread.follow({there})

        def watched() -> set[str]:
            return {s.path for s in proxy.seen if s.watch}

        here = {paths.elasticapps(there), paths.editions(there)}
        await eventually_async(lambda: watched() >= here, 20, "kopf watches where it may")
        assert watched() <= {*here, paths.slapolicies(), paths.dynamicpools()}
        thread.follow({there, absent})
        await eventually_async(lambda: paths.elasticapps(absent) in watched(), 20, "and what has come later")
        assert proxy.writes() == []
    finally:
        await thread.stop()


@pytest.mark.parametrize("levels", [1_000, 9_000])
async def test_an_app_that_nests_deeper_than_python_reads_stops_neither_kopf_nor_our_own_list_and_watch(
    levels: int, cluster: Cluster, api: Api, namespace: str
) -> None:
    woken: list[str] = []
    first = KopfThread(woken.append, Login(cluster.kubeconfig))
    first.start()
    async with asyncio.timeout(60):
        apps = Reflector(api, paths.elasticapps(), keep=objects.custom)
        apps.start()
        await apps.wait_synced()
        await _kopf_watches(woken, api, f"before-{namespace}")
        deep = _deep_app(namespace, levels)
        await asyncio.to_thread(cluster.kubectl, "create", "--validate=false", "-f", "-", stdin=deep)
        other, key = f"policy-{namespace}", f"{namespace}/deep"
        await eventually_async(lambda: key in apps.store.items(), 10, "our watch has it")
        await eventually_async(lambda: f"elasticapps {key}" in woken, 10, "kopf's watch has it")
        kept = apps.store.items()[key]
        assert TOO_DEEP in json.dumps(kept["spec"]["template"])
        assert kept["spec"]["edition"] == "v1"

        again = Reflector(api, paths.elasticapps(), keep=objects.custom)  # now with a LIST
        heard: list[str] = []
        second = KopfThread(heard.append, Login(cluster.kubeconfig))
        again.start()
        second.start()
        await again.wait_synced()
        assert again.store.items()[key] == kept
        await eventually_async(lambda: f"elasticapps {key}" in heard, 20, "kopf's list has it")
        await api.create(paths.slapolicies(), policy(other))
        await eventually_async(lambda: f"slapolicies {other}" in heard, 10, "it goes on")
        assert first.alive
        assert second.alive
        for reflector in (apps, again):
            await reflector.stop()
        await first.stop()
        await second.stop()
        await api.delete(paths.slapolicies(other))
        await api.delete(paths.elasticapps(namespace, "deep"))


def _deep_app(namespace: str, levels: int) -> str:
    """As text: Python cannot write it either."""
    app = {
        "apiVersion": "millpond.dev/v1alpha1",
        "kind": "ElasticApp",
        "metadata": {"name": "deep", "namespace": namespace},
        "spec": {
            "pool": "none",
            "sla": {"policy": "none"},
            "servers": {"min": 1, "max": 1},
            "edition": "v1",
            "port": 8080,
            "routes": [{"host": f"deep.{namespace}.test"}],
            "template": {"spec": {"containers": [{"name": "app", "image": "x"}], "deep": "HERE"}},
        },
    }
    return json.dumps(app).replace('"HERE"', '{"a":' * levels + "1" + "}" * levels)


async def _kopf_watches(woken: list[str], api: Api, name: str) -> None:
    await api.create(paths.slapolicies(), policy(name))
    await eventually_async(lambda: f"slapolicies {name}" in woken, 20, "kopf watches")
    await api.delete(paths.slapolicies(name))
