"""What the operator reads again: good specs come through with their defaults, bad ones say what is right."""

from typing import Any

import pytest

from millpond.api.checks.parsing import SpecError
from millpond.api.kinds import dynamicpool, elasticapp, slapolicy
from millpond.api.kinds.template import template_hash
from millpond.api.names import DYNAMICPOOL, ELASTICAPP, SLAPOLICY
from millpond_policies.world.model import Goal, GoalKind, Mode
from millpond_policies.world.strategy import Strategy

from api.bad_apps import BAD_APPS, UNKNOWN_FIELDS
from api.bad_policies import BAD_POLICIES
from api.good import GOOD
from api.manifests import MODULES, TEMPLATE, Bad, Manifest, manifest


@pytest.mark.parametrize(
    "bad", [pytest.param(bad, id=bad.story) for bad in (*BAD_POLICIES, *BAD_APPS, *UNKNOWN_FIELDS)]
)
def test_a_bad_spec_is_refused_with_field_value_and_what_is_right(bad: Bad) -> None:
    with pytest.raises(SpecError) as refused:
        MODULES[bad.kind].parse(bad.manifest)
    (problem,) = refused.value.problems
    assert problem.startswith(f"{bad.field}: ")
    assert not [word for word in bad.says if word not in problem.removeprefix(bad.field)], problem


def holds(whole: Any, part: Any) -> bool:
    """Whether everything in ``part`` stands in ``whole``, which may have more (defaults)."""
    if isinstance(part, dict):
        return all(key in whole and holds(whole[key], value) for key, value in part.items())
    if isinstance(part, list):
        return len(whole) == len(part) and all(map(holds, whole, part))
    return bool(whole == part)


@pytest.mark.parametrize("good", [pytest.param(good, id=story) for story, good in GOOD])
def test_a_good_spec_comes_through_as_it_was_written(good: Manifest) -> None:
    module = MODULES[good["kind"]]
    spec = module.parse(good)
    assert holds(spec.to_raw(), good["spec"])
    assert module.parse(good | {"spec": spec.to_raw()}) == spec


def test_defaults_are_filled_in() -> None:
    app = elasticapp.parse(manifest(ELASTICAPP))
    assert (app.mode, app.servers.min, app.replicas, app.drain.timeout_s) == (Mode.AUTOMATIC, 1, 1, 30.0)
    assert (app.sla.source, app.routes[0].path_prefix) == ("router", "/")
    assert (app.paused, app.affinity, app.sla.prometheus) == (None, None, None)
    policy = slapolicy.parse(manifest(SLAPOLICY))
    assert (policy.importance, policy.service_class, policy.violation_period_s) == (4, "production", 30.0)
    assert dynamicpool.parse(manifest(DYNAMICPOOL)).zone == "Dynamic"


def test_a_rollout_is_rolling_unless_said_otherwise() -> None:
    app = elasticapp.parse(manifest(ELASTICAPP))
    rollout = app.rollout
    assert (rollout.strategy, rollout.group_size, rollout.planned_steps) == (Strategy.ROLLING, 1, ())
    assert (rollout.soak_s, rollout.deadline_s, rollout.analysis.min_requests) == (10.0, 600.0, 100)
    assert (rollout.approval, rollout.paused, rollout.major, rollout.emergency) == (False, False, False, "")
    assert (rollout.preview, rollout.promote, rollout.abort) == (None, None, None)
    assert (app.change_windows, app.history_limit) == (None, 5)


@pytest.mark.parametrize(
    ("steps", "planned"),
    [
        pytest.param(None, [(10, 60.0), (50, 60.0)], id="by default two of a minute each"),
        pytest.param(
            [{"header": {"name": "x-canary", "value": "yes"}}, {"weight": 5, "pause": "1h30m"}],
            [(0, 0.0), (5, 5400.0)],
            id="a step by header has no share of the sessions",
        ),
    ],
)
def test_a_canary_goes_in_steps(steps: list[Manifest] | None, planned: list[tuple[int, float]]) -> None:
    change: Manifest = {"strategy": "Canary"} | ({} if steps is None else {"steps": steps})
    rollout = elasticapp.parse(manifest(ELASTICAPP, {"rollout": change})).rollout
    assert [(step.percent, step.pause_s) for step in rollout.planned_steps] == planned


@pytest.mark.parametrize(
    ("drain", "session_s", "stream_s"),
    [
        pytest.param({"timeout": "1m"}, None, 60.0, id="sessions and streams last as long as the drain"),
        pytest.param({"timeout": "1m", "sessionTimeout": "5s"}, 5.0, 60.0, id="sessions end earlier"),
        pytest.param({"timeout": "1m", "streamTimeout": "2h"}, None, 7200.0, id="streams last longer"),
    ],
)
def test_sessions_and_streams_have_their_own_time_to_end(
    drain: Manifest, session_s: float | None, stream_s: float
) -> None:
    spec = elasticapp.parse(manifest(ELASTICAPP, {"affinity.cookie": "A", "drain": drain})).drain
    assert (spec.timeout_s, spec.session_timeout_s, spec.stream_timeout_s) == (60.0, session_s, stream_s)


def test_all_problems_are_listed_at_once() -> None:
    spoilt = manifest(ELASTICAPP, {"servers": {"min": 5, "max": 3}, "port": 0, "edition": "V 1"}, name="Shop")
    with pytest.raises(SpecError) as refused:
        elasticapp.parse(spoilt)
    fields = {problem.partition(":")[0] for problem in refused.value.problems}
    assert fields == {"metadata.name", "spec.servers.min", "spec.port", "spec.edition"}
    assert str(refused.value) == "; ".join(refused.value.problems)


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        pytest.param({"metadata": {"name": "a"}}, "spec.goal: is required", id="no spec at all"),
        pytest.param({"spec": {}}, "spec.goal: is required", id="an empty spec"),
        pytest.param({"spec": None}, "spec: null is not right", id="spec null"),
        pytest.param({"spec": [1]}, "spec: [1] is not right", id="a list for a spec"),
        pytest.param({"spec": {"goal": "fast"}}, 'spec.goal: "fast" is not right', id="a word for a goal"),
    ],
)
def test_whatever_stands_there_the_answer_is_a_spec_error(raw: Manifest, problem: str) -> None:
    with pytest.raises(SpecError, match=problem.replace("[", r"\[")):
        slapolicy.parse(raw)


def test_a_huge_value_is_not_repeated_in_full() -> None:
    with pytest.raises(SpecError) as refused:
        elasticapp.parse(manifest(ELASTICAPP, {"mode": "x" * 10_000}))
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize(
    ("goal", "expected", "text"),
    [
        pytest.param(
            {"type": "averageResponseTime", "target": "300ms"},
            Goal(kind=GoalKind.AVERAGE, target_ms=300.0),
            "average ≤ 300ms",
            id="an average",
        ),
        pytest.param(
            {"type": "percentileResponseTime", "target": "1.5s", "percentile": 95},
            Goal(kind=GoalKind.PERCENTILE, target_ms=1500.0, percentile=95),
            "p95 ≤ 1.5s",
            id="a percentile",
        ),
        pytest.param(
            {"type": "discretionary"}, Goal(kind=GoalKind.DISCRETIONARY), "none", id="discretionary"
        ),
    ],
)
def test_goals_become_goals_of_the_policies(goal: Manifest, expected: Goal, text: str) -> None:
    spec = slapolicy.parse(manifest(SLAPOLICY, {"goal": goal})).goal
    assert (spec.to_goal(), str(spec)) == (expected, text)


@pytest.mark.parametrize(
    ("allowed", "namespace", "may"),
    [
        pytest.param(None, "any", True, id="absent: all namespaces may"),
        pytest.param(["a", "b"], "b", True, id="one of the list may"),
        pytest.param(["a", "b"], "c", False, id="any other may not"),
        pytest.param([], "a", False, id="an empty list: nobody may"),
    ],
)
def test_policies_and_pools_say_who_may_use_them(
    allowed: list[str] | None, namespace: str, may: bool
) -> None:
    change = {} if allowed is None else {"allowedNamespaces": allowed}
    assert slapolicy.parse(manifest(SLAPOLICY, change)).allows(namespace) is may
    assert dynamicpool.parse(manifest(DYNAMICPOOL, change)).allows(namespace) is may


def test_the_end_of_a_pause_is_a_point_in_time_whatever_the_zone() -> None:
    def until_s(text: str) -> float:
        paused = elasticapp.parse(manifest(ELASTICAPP, {"paused.until": text})).paused
        assert paused is not None
        return paused.until_s

    assert until_s("2030-01-31T18:00:00Z") == until_s("2030-01-31t19:00:00+01:00") == 1896112800.0


def test_a_template_hash_changes_with_the_template_and_not_with_the_order_of_its_keys() -> None:
    container = {"image": "example/shop:1", "name": "app"}
    assert template_hash(TEMPLATE) == template_hash({"spec": {"containers": [container]}})
    assert template_hash(TEMPLATE) != template_hash({"spec": {"containers": [container | {"image": "x"}]}})
