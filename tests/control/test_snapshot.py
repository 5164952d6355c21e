"""What the plan of a cycle is made of: pools, nodes with what all pods there request, and what servers ask for."""

from typing import Any, cast

import pytest

from millpond.control.observe.world import World
from millpond.kube import paths
from millpond.kube.client import Api, Object
from millpond_policies.plan import plan
from millpond_policies.world.constraints import Resources
from millpond_policies.world.model import Snapshot
from millpond_policies.world.nodes import Node, Pool
from millpond_policies.world.recording import Recording, dump, load

from kube.tenants import NOISY, QUIET, Tenants, cluster
from waiting import eventually_async

MI = 1 << 20
ROOM = {"cpu": "4", "memory": "8Gi", "pods": "110"}


def foreign(
    name: str, cpu: str, node: str | None = "n1", phase: str = "Running", version: int = 100
) -> Object:
    asked = {"name": "a", "image": "a", "resources": {"requests": {"cpu": cpu, "memory": "64Mi"}}}
    spec = {"containers": [asked], **({"nodeName": node} if node else {})}
    meta = {"namespace": "kube-system", "name": name, "resourceVersion": str(version)}
    return {"metadata": meta, "spec": spec, "status": {"phase": phase}}


def tenants(**node: Any) -> Tenants:
    made = Tenants()
    found = cluster(QUIET, NOISY)
    found["nodes//n1"]["status"] |= {"allocatable": ROOM}
    found["nodes//n1"]["spec"] |= node
    made.load(found)
    return made


def others(made: Tenants, *pods: Object, version: int = 100) -> None:
    """What the watch of other pods tells."""
    assert made.world.others is not None
    made.world.others.store.replace(list(made.world.others.store.trimmed(pods)), version)


def only(snapshot: Snapshot) -> Node:
    (node,) = snapshot.nodes
    return node


async def test_until_all_pods_are_seen_nobody_knows_what_is_free() -> None:
    made = tenants()
    await made.once()
    assert made.cycle.seen.pools == (Pool(name="default", selector={"pool": "default"}),)
    assert [app.key for app in made.cycle.seen.apps] == ["noisy/web", "quiet/web"]
    assert only(made.cycle.seen).allocatable == Resources(cpu_m=4000, memory_bytes=8192 * MI, pods=110)
    assert only(made.cycle.seen).free is None


async def test_what_all_pods_request_is_added_up_ours_and_those_of_others() -> None:
    made = tenants()
    others(
        made,
        foreign("daemon", "250m"),
        foreign("elsewhere", "1", node="n2"),
        foreign("unplaced", "1", node=None),
        foreign("finished", "1", phase="Succeeded"),
    )
    await made.once()
    assert only(made.cycle.seen).requested == Resources(cpu_m=250, memory_bytes=64 * MI, pods=5)
    assert only(made.cycle.seen).free == Resources(cpu_m=3750, memory_bytes=8128 * MI, pods=105)


async def test_a_node_of_which_nothing_changed_is_the_same_value_again() -> None:
    made = tenants()
    others(made, foreign("daemon", "250m"))
    await made.once()
    before = only(made.cycle.seen)
    await made.once()
    assert only(made.cycle.seen) is before
    others(made, foreign("daemon", "500m", version=101), version=101)
    await made.once()
    assert only(made.cycle.seen).requested == Resources(cpu_m=500, memory_bytes=64 * MI, pods=5)


async def test_an_app_knows_its_pool_what_a_server_requests_and_where_it_may_run() -> None:
    made = tenants()
    await made.once()
    for app in made.cycle.seen.apps:
        (view,) = app.editions
        assert app.pool == "default"
        assert view.constraints.selector == (("pool", "default"),), (
            "what its template has, and the pool's nodes"
        )
        assert view.requests == Resources(pods=1), "what its pods request: defaults of the cluster are in it"


async def test_what_a_cycle_saw_can_be_recorded_and_planned_again() -> None:
    made = tenants(taints=[{"key": "k", "effect": "NoSchedule"}])
    others(made, foreign("daemon", "250m"))
    await made.once()
    seen, now_s = made.cycle.seen, made.clock()
    back = load(dump(Recording(now_s=now_s, snapshot=seen, verdicts=plan(seen, now_s))))
    assert back.snapshot == seen
    assert back.verdicts == plan(back.snapshot, back.now_s)


def test_with_chosen_namespaces_pods_of_others_are_not_read() -> None:
    world = World(cast(Api, None), on_change=lambda: None, namespaces=("shop",))
    assert world.others is None
    assert "pods of others" not in world.watches
    assert "pods of others" in World(cast(Api, None), on_change=lambda: None).watches


@pytest.mark.integration
async def test_the_api_server_tells_of_other_pods_until_they_finish(api: Api, namespace: str) -> None:
    woken: list[None] = []
    world = World(api, on_change=lambda: woken.append(None))
    reflector = world.others
    assert reflector is not None

    def made(name: str, **labels: str) -> Object:
        pod = foreign(name, "100m", node="n-absent")
        return {**pod, "metadata": {"name": name, "labels": labels}, "apiVersion": "v1", "kind": "Pod"}

    def seen() -> dict[str, Any]:
        return {k.split("/")[1]: v for k, v in reflector.store.items().items() if k.startswith(namespace)}

    await api.create(paths.pods(namespace), made("other"))
    await api.create(paths.pods(namespace), made("ours", **{"millpond.dev/app": "web"}))
    reflector.start()
    try:
        await reflector.wait_synced()
        assert seen().keys() == {"other"}
        assert seen()["other"].requests == Resources(cpu_m=100, memory_bytes=64 * MI, pods=1)
        await api.create(paths.pods(namespace), made("later"))
        await eventually_async(lambda: seen().keys() == {"other", "later"}, 10, "the new one is seen")
        done = {"status": {"phase": "Succeeded"}}
        await api.patch(paths.pods(namespace, "other", "status"), done)
        await eventually_async(lambda: seen().keys() == {"later"}, 10, "the finished one is gone")
        assert not woken, "none of them wakes the cycle"
    finally:
        await reflector.stop()
