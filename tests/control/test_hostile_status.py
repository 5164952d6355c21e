"""A status that somebody edited: rollouts and what was learned are read as far as they can be, and computed with."""

from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from millpond.control.learn.knowledge import Knowledge
from millpond.control.resolve import rollouts
from millpond.router.config import fault
from millpond_policies.learn.persistence import VALUES
from millpond_policies.plan import plan
from millpond_policies.world.model import Snapshot

from kube.builders import app, app_routes, app_view, edition, holdings, sibling

NOW = 1_800_000_000.0
GOOD = {
    "edition": "v1", "from": "v0", "strategy": "Canary", "phase": "Progressing", "step": 1, "weight": 10, "servers": 2,
    "startedAt": "2027-01-15T08:00:00Z", "stepAt": "2027-01-15T08:00:00Z", "reason": "EditionSwap",
}  # fmt: skip
ODD: Any = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.lists(st.integers(), max_size=2)
    | st.sampled_from((10**400, -1, 21, 101, 1e300, "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00"))
)  # fmt: skip


@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.dictionaries(st.sampled_from([*GOOD, "until", "needs", "message"]), ODD, max_size=3),
    ODD | st.dictionaries(st.sampled_from([*VALUES]), ODD, max_size=5),
    st.sampled_from(("Rolling", "Canary", "Atomic", "BlueGreen")),
)
def test_an_edited_status_is_computed_with_or_left_out(
    changes: dict[str, Any], learned: Any, strategy: str
) -> None:
    good = app(rollout={"strategy": strategy})
    found = replace(good, raw={**good.raw, "status": {"rollout": {**GOOD, **changes}}})
    editions = {name: edition(name, learned=learned) for name in ("v0", "v1")}
    held = holdings(sibling("a"), sibling("b", edition="v0"), **editions)
    knowledge = Knowledge()
    for name, raw in editions.items():
        knowledge.of(found.key, name, raw)
    view = app_view(found, held, knowledge, {}, NOW)
    plan(Snapshot(apps=(view,)), NOW)
    routes = app_routes(found, held)
    assert routes is None or fault(routes) is None
    last = rollouts.progress(found)
    if last is not None:
        rollouts.dump(last, view.way)


@given(ODD)
def test_a_rollout_of_any_form_is_none_or_one(rollout: Any) -> None:
    good = app()
    assert rollouts.progress(replace(good, raw={**good.raw, "status": {"rollout": rollout}})) is None
