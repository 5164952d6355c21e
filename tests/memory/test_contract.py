"""What the operator relies on in an API server: so does the one in memory behave, and so does a real one."""

from collections.abc import Mapping
from contextlib import aclosing
from typing import Any

import pytest

from millpond.api.names import ELASTICAPP
from millpond.control.observe.objects import DELETION_COST
from millpond.kube import paths
from millpond.kube.errors import ApiError, Conflict, Gone, Invalid, NotFound
from millpond.kube.raw import of_kind

from api.manifests import manifest
from memory.conftest import Kube
from memory.patches import Raw
from waiting import eventually_async

GATE = "example.com/gate"
LABELS = {"for": "contract"}
SELECTOR = "for=contract"


async def app(kube: Kube, name: str = "web", **meta: Any) -> Raw:
    made = manifest(ELASTICAPP, name=name)
    made["metadata"] = {"name": name, "namespace": kube.namespace, "labels": LABELS, **meta}
    return await kube.api.create(paths.elasticapps(kube.namespace), made)


def path(kube: Kube, name: str = "web", sub: str | None = None) -> str:
    return paths.elasticapps(kube.namespace, name, sub)


def versions(*objects: Raw) -> list[int]:
    return [int(raw["metadata"]["resourceVersion"]) for raw in objects]


async def test_a_name_can_be_taken_once(kube: Kube) -> None:
    first = await app(kube)
    assert first["metadata"]["generation"] == 1
    with pytest.raises(Conflict):
        await app(kube)


async def test_a_dry_run_makes_nothing(kube: Kube) -> None:
    body = manifest(ELASTICAPP, name="web")
    await kube.api.create(paths.elasticapps(kube.namespace), body, dry_run=True)
    with pytest.raises(NotFound):
        await kube.api.get(path(kube))


OTHER_UID = "6d0d9d9e-0000-4000-8000-000000000000"


@pytest.mark.parametrize(
    ("field", "other", "refusal"), [("uid", OTHER_UID, Invalid), ("resourceVersion", "1", Conflict)]
)
async def test_a_patch_for_another_object_or_version_changes_nothing(
    kube: Kube, field: str, other: str, refusal: type[ApiError]
) -> None:
    made = await app(kube)
    with pytest.raises(refusal):
        await kube.api.patch(path(kube), {"metadata": {field: other}, "spec": {"edition": "v9"}})
    assert await kube.api.get(path(kube)) == made
    same = {"metadata": {field: made["metadata"][field]}, "spec": {"edition": "v9"}}
    assert (await kube.api.patch(path(kube), same))["spec"]["edition"] == "v9"


async def test_a_patch_of_what_is_not_there_finds_nothing(kube: Kube) -> None:
    with pytest.raises(NotFound):
        await kube.api.patch(path(kube), {"spec": {"edition": "v9"}})


async def test_null_takes_away_and_lists_are_replaced(kube: Kube) -> None:
    await app(kube, annotations={"a": "1", "b": "2"})
    hosts = [{"host": "one.test"}]
    body = {"metadata": {"annotations": {"a": None}}, "spec": {"routes": hosts}}
    changed = await kube.api.patch(path(kube), body)
    assert changed["metadata"]["annotations"].keys() & {"a", "b"} == {"b"}
    assert [r["host"] for r in changed["spec"]["routes"]] == ["one.test"]


async def test_a_patch_that_changes_nothing_makes_no_version(kube: Kube) -> None:
    made = await app(kube)
    again = await kube.api.patch(path(kube), {"spec": {"edition": made["spec"]["edition"]}})
    assert versions(again) == versions(made)


async def test_status_and_the_rest_are_written_apart(kube: Kube) -> None:
    made = await app(kube)
    both = {"spec": {"edition": "v9"}, "status": {"edition": "v8"}}
    by_status = await kube.api.patch(path(kube, sub="status"), both)
    assert by_status["spec"] == made["spec"]
    assert by_status["status"]["edition"] == "v8"
    by_spec = await kube.api.patch(path(kube), {"spec": {"edition": "v9"}, "status": {"edition": "v7"}})
    assert by_spec["spec"]["edition"] == "v9"
    assert by_spec["status"]["edition"] == "v8"


async def test_the_generation_rises_with_spec_alone(kube: Kube) -> None:
    await app(kube)
    status = await kube.api.patch(path(kube, sub="status"), {"status": {"edition": "v8"}})
    labelled = await kube.api.patch(path(kube), {"metadata": {"annotations": {"a": "1"}}})
    spec = await kube.api.patch(path(kube), {"spec": {"edition": "v9"}})
    assert [o["metadata"]["generation"] for o in (status, labelled, spec)] == [1, 1, 2]
    assert sorted(set(versions(status, labelled, spec))) == versions(status, labelled, spec)


async def test_a_watch_tells_all_changes_since_a_list_in_their_order(kube: Kube) -> None:
    await app(kube, "old")
    listed = await kube.api.list(paths.elasticapps(kube.namespace), SELECTOR)
    assert [o["metadata"]["name"] for o in listed.objects] == ["old"]
    await app(kube, "new")
    await kube.api.patch(path(kube, "new"), {"spec": {"edition": "v9"}})
    await kube.api.patch(path(kube, "old"), {"metadata": {"labels": {"for": "others"}}})
    await kube.api.delete(path(kube, "new"))
    told = []
    watch = kube.api.watch(paths.elasticapps(kube.namespace), listed.version, 10.0, SELECTOR)
    async with aclosing(watch) as events:
        async for what, raw in events:
            if what != "BOOKMARK":
                told.append((what, raw))
            if len(told) == 4:
                break
    names = [(what, raw["metadata"]["name"]) for what, raw in told]
    assert names == [("ADDED", "new"), ("MODIFIED", "new"), ("DELETED", "old"), ("DELETED", "new")]
    found = versions(*(raw for _, raw in told))
    assert sorted(set(found)) == found
    assert found[0] > int(listed.version)


async def test_a_watch_ends_by_itself_and_bookmarks_prove_no_more_than_was_told(kube: Kube) -> None:
    made = await app(kube)
    watch = kube.api.watch(
        paths.elasticapps(kube.namespace), made["metadata"]["resourceVersion"], 1.0, SELECTOR
    )
    told = [(what, raw) async for what, raw in watch]
    assert {what for what, _ in told} <= {"BOOKMARK"}
    assert all(v >= versions(made)[0] for v in versions(*(raw for _, raw in told)))


async def test_who_watches_from_too_long_ago_is_told_to_list_again(kube: Kube) -> None:
    async def look() -> None:
        async for what, raw in kube.api.watch(paths.elasticapps(), "1", 2.0):
            if what == "ERROR" and raw.get("code") == 410:
                raise Gone("too old", 410)

    with pytest.raises(Gone):
        await look()


async def test_only_the_object_that_was_meant_is_deleted(kube: Kube) -> None:
    made = await app(kube)
    with pytest.raises(Conflict):
        await kube.api.delete(path(kube), uid=OTHER_UID)
    await kube.api.delete(path(kube), uid=made["metadata"]["uid"])
    with pytest.raises(NotFound):
        await kube.api.delete(path(kube), uid=made["metadata"]["uid"])


async def test_what_waits_for_a_finalizer_is_being_deleted_until_it_is_gone(kube: Kube) -> None:
    await app(kube, finalizers=["example.com/wait"])
    await kube.api.delete(path(kube))
    assert "deletionTimestamp" in (await kube.api.get(path(kube)))["metadata"]
    await kube.api.patch(path(kube), {"metadata": {"finalizers": None}})
    with pytest.raises(NotFound):
        await kube.api.get(path(kube))


def replicaset(kube: Kube, replicas: int, *, selector: Mapping[str, str] | None = None) -> Raw:
    container = {"name": "app", "image": "sample", "command": ["sleep", "600"]}
    spec = {
        "containers": [container],
        "readinessGates": [{"conditionType": GATE}],
        "nodeSelector": dict(kube.selector if selector is None else selector),
        "terminationGracePeriodSeconds": 1,
        "automountServiceAccountToken": False,
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": "web", "namespace": kube.namespace},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": LABELS},
            "template": {"metadata": {"labels": LABELS}, "spec": spec},
        },
    }


async def pods(kube: Kube) -> list[Raw]:
    found = (await kube.api.list(paths.pods(kube.namespace), SELECTOR)).objects
    return sorted((p for p in found if "deletionTimestamp" not in p["metadata"]), key=name_of)


def name_of(raw: Raw) -> str:
    return str(raw["metadata"]["name"])


def is_true(pod: Raw, condition: str) -> bool:
    return bool(of_kind(pod["status"].get("conditions")).get(condition, {}).get("status") == "True")


async def running(kube: Kube, count: int) -> list[Raw]:
    """So many pods whose containers are ready."""

    async def there() -> list[Raw]:
        found = [p for p in await pods(kube) if is_true(p, "ContainersReady")]
        return found if len(found) == count else []

    return await eventually_async(there, 60, f"{count} pods run")


async def counted(kube: Kube, **status: int) -> None:
    """The ReplicaSet's status says so, of its newest generation."""

    async def says() -> bool:
        raw = await kube.api.get(paths.replicasets(kube.namespace, "web"))
        found = {"readyReplicas": 0, **raw.get("status", {})}
        newest = found.get("observedGeneration") == raw["metadata"]["generation"]
        return newest and all(found.get(k) == v for k, v in status.items())

    await eventually_async(says, 30, f"its status says {status}")


async def open_gate(kube: Kube, *found: Raw) -> None:
    for pod in found:
        condition = {"type": GATE, "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
        body = {"metadata": {"uid": pod["metadata"]["uid"]}, "status": {"conditions": [condition]}}
        path = paths.pods(kube.namespace, name_of(pod), "status")
        answer = await kube.api.patch(path, body, kind="strategic")
        assert is_true(answer, GATE)
        assert is_true(answer, "ContainersReady"), "conditions are merged by their type"


async def scale(kube: Kube, replicas: int) -> None:
    await kube.api.patch(paths.replicasets(kube.namespace, "web"), {"spec": {"replicas": replicas}})


async def test_a_replicaset_makes_its_pods_and_counts_those_ready_whose_gate_is_open(kube: Kube) -> None:
    await kube.api.create(paths.replicasets(kube.namespace), replicaset(kube, 2))
    found = await running(kube, 2)
    await counted(kube, replicas=2, readyReplicas=0)
    await open_gate(kube, found[0])
    await counted(kube, replicas=2, readyReplicas=1)
    owners = [p["metadata"]["ownerReferences"][0] for p in found]
    assert [(o["kind"], o["name"], o["controller"]) for o in owners] == [("ReplicaSet", "web", True)] * 2
    await scale(kube, 3)
    await running(kube, 3)
    await counted(kube, replicas=3, readyReplicas=1)


async def test_of_ready_pods_the_one_with_the_lowest_cost_is_removed(kube: Kube) -> None:
    await kube.api.create(paths.replicasets(kube.namespace), replicaset(kube, 3))
    found = await running(kube, 3)
    await open_gate(kube, *found)
    await counted(kube, readyReplicas=3)
    await cheapen(kube, found[1])
    await scale(kube, 2)
    await counted(kube, replicas=2, readyReplicas=2)
    assert [name_of(p) for p in await pods(kube)] == [name_of(found[0]), name_of(found[2])]


async def test_a_pod_that_is_not_ready_is_removed_before_one_with_a_low_cost(kube: Kube) -> None:
    await kube.api.create(paths.replicasets(kube.namespace), replicaset(kube, 3))
    found = await running(kube, 3)
    await open_gate(kube, *found[:2])
    await counted(kube, readyReplicas=2)
    await cheapen(kube, found[1])
    await scale(kube, 2)
    await counted(kube, replicas=2, readyReplicas=2)
    assert [name_of(p) for p in await pods(kube)] == [name_of(p) for p in found[:2]]


async def cheapen(kube: Kube, pod: Raw) -> None:
    """Its deletion cost is the lowest; the controller has seen it once another change was counted."""
    body = {"metadata": {"annotations": {DELETION_COST: "-2147483647"}}}
    await kube.api.patch(paths.pods(kube.namespace, name_of(pod)), body)


async def test_a_pod_without_a_node_is_removed_before_all_others(kube: Kube) -> None:
    await kube.api.create(paths.replicasets(kube.namespace), replicaset(kube, 1))
    (found,) = await running(kube, 1)
    await cheapen(kube, found)
    nowhere = {"spec": {"template": {"spec": {"nodeSelector": {"there-is": "none"}}}}}
    await kube.api.patch(paths.replicasets(kube.namespace, "web"), nowhere)
    await scale(kube, 2)
    await counted(kube, replicas=2)
    await scale(kube, 1)
    await counted(kube, replicas=1)
    assert [name_of(p) for p in await pods(kube)] == [name_of(found)]


async def test_what_has_lost_its_owner_is_deleted(kube: Kube) -> None:
    await kube.api.create(paths.replicasets(kube.namespace), replicaset(kube, 1))
    await running(kube, 1)
    await kube.api.delete(paths.replicasets(kube.namespace, "web"))

    async def gone() -> bool:
        return not (await kube.api.list(paths.pods(kube.namespace), SELECTOR)).objects

    await eventually_async(gone, 60, "its pods are gone, too")
