"""Whatever one tenant's objects hold, the other one never notices, and a cycle never fails.

Generated inputs in each run: 100 for each of ElasticApp, Edition, ReplicaSet and Pod (any part), 100 for each text that
stands in an annotation of the last two (800), 100 for each field of a status (600), 100 times six seconds of telemetry,
100 for each reader (300), 100 for what is nested too deep, and 100 rollouts: 2,400.
"""

import asyncio
import copy
import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from millpond.api.names import RETIRE_ANNOTATION
from millpond.control.observe import objects
from millpond.control.observe.nodes import node, pod_on_node
from millpond.control.observe.objects import DECISION_ANNOTATION, RetireIntent
from millpond.kube.decode import DEEPEST, TOO_DEEP, cut, decoded, shallow
from millpond.router.config import cluster_name
from millpond.router.telemetry.collector import Collected, EditionSecond
from millpond_policies.learn.histogram import BOUNDS_MS

from kube.hostile import TEXTS, changed, decisions, intents, json_values, paths
from kube.tenants import NOISY, QUIET, Tenants, cluster

KINDS = {
    "elasticapps": f"elasticapps/{NOISY}/web",
    "editions": f"editions/{NOISY}/web-v1",
    "replicasets": f"replicasets/{NOISY}/web-v1",
    "pods": f"pods/{NOISY}/web-v1-a",
}
# What the API server itself sees to, whoever writes.
_SERVERS = frozenset({"name", "namespace", "uid", "resourceVersion", "creationTimestamp"})
often = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))


async def outcome(
    objects: dict[str, Any], cycles: int = 3, seconds: Sequence[EditionSecond] = ()
) -> tuple[Any, ...]:
    """What the quiet tenant gets: its writes, its routes and what it is told. ``seconds``: the other one's figures."""
    tenants = Tenants()
    tenants.load(objects)
    noisy = iter(seconds)
    if seconds:
        tenants.routers.telemetry.collect = lambda now_s: collected(now_s, next(noisy))
    for _ in range(cycles):
        await tenants.once()
    await tenants.cycle.each.stop()
    shown = [key for key in tenants.faults.shown if not key.startswith(NOISY)]
    view = tenants.cycle.apps.get(f"{QUIET}/web")
    return tenants.memory.of(QUIET), tenants.routers.apps.get(f"{QUIET}/web"), view, shown


def collected(now_s: float, noisy: EditionSecond) -> Collected:
    """The quiet one has 20 requests of 60 ms in every second."""
    histogram = tuple(20 if n == 10 else 0 for n in range(len(BOUNDS_MS) + 1))
    quiet = EditionSecond(requests=20, sum_ms=1200.0, histogram=histogram, in_flight=1)
    editions = {cluster_name(f"{QUIET}/web", "v1"): quiet, cluster_name(f"{NOISY}/web", "v1"): noisy}
    return Collected(at_s=now_s, complete=True, window_s=1.0, editions=editions, endpoints={})


ALONE = asyncio.run(outcome(cluster(QUIET, NOISY)))
ALMOST_NOTHING = [EditionSecond()] * 6
SERVING = asyncio.run(outcome(cluster(QUIET, NOISY), cycles=6, seconds=ALMOST_NOTHING))
FIGURES = (
    0,
    0.0,
    -1,
    1,
    3,
    10_000,
    10**300,
    1e300,
    -1e300,
    float("nan"),
    float("inf"),
    float("-inf"),
    5e-324,
)
figures = st.sampled_from(FIGURES)
hostile_seconds = st.builds(
    EditionSecond,
    requests=figures,
    errors=figures,
    sum_ms=figures,
    histogram=st.lists(figures, max_size=len(BOUNDS_MS) + 2).map(tuple),
    in_flight=figures,
)


def test_the_quiet_tenant_has_routes_and_writes_to_compare() -> None:
    writes, routes, view, shown = ALONE
    assert writes
    assert routes is not None
    assert view is not None
    assert shown == []


def parts(kind: str) -> list[Any]:
    raw = {"status": {}, **cluster(QUIET, NOISY)[KINDS[kind]]}
    found = [p for p in paths(raw) if p and p[0] not in ("apiVersion", "kind")]
    return [p for p in found if not (p[0] == "metadata" and (len(p) == 1 or p[1] in _SERVERS))]


@pytest.mark.parametrize("kind", KINDS)
@often
@given(data=st.data())
def test_any_json_in_any_part_of_an_object_stays_its_owners_affair(kind: str, data: Any) -> None:
    found = cluster(QUIET, NOISY)
    path = data.draw(st.sampled_from(parts(kind)))
    raw = {"status": {}, **found[KINDS[kind]]}
    found[KINDS[kind]] = changed(raw, path, data.draw(json_values))
    assert asyncio.run(outcome(found)) == ALONE


@pytest.mark.parametrize("annotation", [RETIRE_ANNOTATION, DECISION_ANNOTATION, objects.VICTIM_ANNOTATION,
                                        objects.DELETION_COST])  # fmt: skip
@pytest.mark.parametrize("kind", ["pods", "replicasets"])
@often
@given(text=st.sampled_from(TEXTS) | intents() | decisions() | json_values.map(json.dumps) | st.text())
def test_any_text_in_an_annotation_stays_its_owners_affair(kind: str, annotation: str, text: str) -> None:
    found = cluster(QUIET, NOISY)
    found[KINDS[kind]]["metadata"]["annotations"] = {annotation: text}
    assert asyncio.run(outcome(found, cycles=2))[1:] == ALONE[1:]


def test_a_tenant_that_is_served_is_learned_of() -> None:
    assert SERVING[2].editions[0].memory != ALONE[2].editions[0].memory


@often
@given(seconds=st.lists(hostile_seconds, min_size=6, max_size=6))
def test_whatever_figures_the_routers_give_of_one_app_the_other_is_sized_as_ever(
    seconds: list[EditionSecond],
) -> None:
    assert asyncio.run(outcome(cluster(QUIET, NOISY), cycles=6, seconds=seconds)) == SERVING


@pytest.mark.parametrize("field", ["conditions", "decisions", "rollout", "servers", "edition", "replicas"])
@often
@given(value=json_values | st.lists(st.dictionaries(st.sampled_from(["type", "status", "reason", "edition", "action"]),
                                                    json_values, max_size=4), max_size=25))  # fmt: skip
def test_whoever_may_edit_a_status_disturbs_only_that_app(field: str, value: Any) -> None:
    found = cluster(QUIET, NOISY)
    found[KINDS["elasticapps"]]["status"] = {field: value}
    assert asyncio.run(outcome(found)) == ALONE


@pytest.mark.parametrize(
    "text",
    ["1e300", "NaN", "Infinity", "1" + "0" * 400, "-1", '"soon"', "[" * 100_000, "null"],
    ids=lambda text: text[:12],
)
def test_an_intent_with_impossible_figures_is_none(text: str) -> None:
    said = f'{{"uid": "u", "since": {text}, "deadline": {text}, "reason": "LoadFell"}}'
    assert RetireIntent.load(said, "u") is None
    assert RetireIntent.load(text, "u") is None


@pytest.mark.parametrize("kind", ["pods", "replicasets", "nodes", "pods of others"])
@often
@given(data=st.data())
def test_readers_of_kubernetes_own_kinds_have_an_answer_for_any_json(kind: str, data: Any) -> None:
    read: Any = {
        "pods": objects.pod,
        "replicasets": objects.replicaset,
        "nodes": node,
        "pods of others": pod_on_node,
    }[kind]
    found = cluster(QUIET, NOISY)
    raw = found.get(KINDS.get(kind.split()[0], ""), found["nodes//n1"])
    known = [p for p in paths(raw) if p and not (p[0] == "metadata" and (len(p) == 1 or p[1] in _SERVERS))]
    read(changed(raw, data.draw(st.sampled_from(known)), data.draw(json_values)))


@pytest.mark.parametrize("levels", [50, DEEPEST, DEEPEST + 1, 900, 1_000, 10_000])
def test_an_object_that_is_nested_too_deep_loses_that_part_and_no_other(levels: int) -> None:
    text = b'{"items": [{"metadata": {"name": "a\\"{"}, "spec": ' + b'{"a":' * levels + b"1" + b"}" * levels
    text += b'}, {"metadata": {"name": "b"}}]}'
    first, second = decoded(text)["items"]
    assert second == {"metadata": {"name": "b"}}
    assert first["metadata"] == {"name": 'a"{'}
    assert json.dumps(shallow(first)).count(TOO_DEEP) == (levels >= DEEPEST)


@often
@given(value=json_values, levels=st.integers(min_value=1, max_value=6))
def test_cutting_bytes_and_cutting_values_is_the_same(value: Any, levels: int) -> None:
    assert msgspec.json.decode(cut(msgspec.json.encode(value), levels)) == msgspec.json.decode(
        msgspec.json.encode(shallow(copy.deepcopy(value), levels))
    )


ROLLOUT = {
    "edition": "v1",
    "from": "v1",
    "strategy": "Canary",
    "phase": "Progressing",
    "step": 1,
    "weight": 10,
    "servers": 2,
    "startedAt": "2026-01-01T00:00:00Z",
    "stepAt": "2026-01-01T00:00:00Z",
    "until": "2026-01-01T00:00:00Z",
    "needs": "promote",
    "reason": "NewEdition",
    "message": "",
}
moments = st.sampled_from(
    ["9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00", "2026-02-30", "soon", ""]
)


@often
@given(
    changes=st.dictionaries(
        st.sampled_from(sorted(ROLLOUT)),
        moments | json_values | st.sampled_from(["v2", "Rolling", "Completed"]),
    ),
    edition=st.sampled_from(["v1", "v2"]),
)
def test_a_rollout_that_somebody_wrote_into_a_status_stays_that_apps_affair(
    changes: dict[str, Any], edition: str
) -> None:
    found = cluster(QUIET, NOISY)
    raw = found[KINDS["elasticapps"]]
    found[KINDS["elasticapps"]] = {
        **raw,
        "spec": {**raw["spec"], "edition": edition},
        "status": {"rollout": {**ROLLOUT, **changes}},
    }
    assert asyncio.run(outcome(found)) == ALONE
