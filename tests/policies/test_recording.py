"""What a plan saw and said can be written down and read back: nothing is lost, and nothing unknown is passed over."""

import json
from dataclasses import fields, replace
from math import inf, nan
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from millpond_policies.goals import Goal, GoalKind
from millpond_policies.learn.learning import Memory
from millpond_policies.learn.load import Load
from millpond_policies.plan import plan
from millpond_policies.reasons import Reason
from millpond_policies.world.actions import AnyVerdict, Because, Hold
from millpond_policies.world.constraints import Constraints, NodeTerm, Operator, Requirement, Resources
from millpond_policies.world.model import App, Snapshot
from millpond_policies.world.nodes import Node, Pool, Power, Taint
from millpond_policies.world.recording import Recording, Unreadable, dump, load
from millpond_policies.world.strategy import Strategy

from policies.building import NOW, after_load, app, serving
from policies.swapping import Swapping, at_step, way
from policies.test_properties import apps

NODE = Node(
    name="n1",
    labels={"pool": "a"},
    taints=(Taint(key="k", effect="NoSchedule"),),
    allocatable=Resources(cpu_m=4000, memory_bytes=1 << 33, pods=110),
    requested=Resources(cpu_m=100),
    ready=True,
    power=Power.ON,
)
CONSTRAINTS = Constraints(
    selector=(("pool", "a"),),
    affinity=(NodeTerm(labels=(Requirement(key="zone", operator=Operator.IN, values=("1", "2")),)),),
    unknown=("spec.affinity.podAffinity",),
)
BUSY = app(serving(2), after_load(60, 2), pool="a")
SNAPSHOT = Snapshot(
    apps=(replace(BUSY, editions=(replace(BUSY.editions[0], constraints=CONSTRAINTS),)),),
    pools=(Pool(name="a", selector={"pool": "a"}),),
    nodes=(NODE,),
)
RECORDING = Recording(now_s=NOW, snapshot=SNAPSHOT, verdicts=plan(SNAPSHOT, NOW))


LABELS = st.dictionaries(st.text(max_size=9), st.text(max_size=9), max_size=3)


def built(cls: Any, **given_: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Every field by its type hint, also those with a default."""
    return st.builds(cls, **{f.name: given_.get(f.name, ...) for f in fields(cls)})


def few(of: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(of, max_size=2).map(tuple)


ONE_OR_NONE = st.sampled_from((frozenset(), frozenset({"shop/web"})))
SNAPSHOTS = built(
    Snapshot,
    apps=few(st.from_type(App)),
    pools=few(built(Pool, selector=LABELS)),
    nodes=few(built(Node, labels=LABELS)),
    ended=ONE_OR_NONE,
    resting=ONE_OR_NONE,
)


@given(built(Recording, snapshot=SNAPSHOTS, verdicts=few(st.from_type(AnyVerdict))))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), phases=(Phase.generate,))
def test_whatever_the_values_are_they_come_back_the_same(recording: Recording) -> None:
    """repr, because NaN equals nothing, and 1 and 1.0 are equal and not the same."""
    back = load(dump(recording))
    assert repr(back).replace("-0.0", "0.0") == repr(recording).replace("-0.0", "0.0")
    memories = [[e.memory.recent for a in r.snapshot.apps for e in a.editions] for r in (recording, back)]
    assert repr(memories[0]) == repr(memories[1]), "the last minutes, which repr leaves out"


@given(st.lists(apps(), max_size=3))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_plan_of_what_was_read_gives_the_same_verdicts(found: list[App]) -> None:
    of = tuple(replace(a, key=f"shop/{i}") for i, a in enumerate(found))
    snapshot = replace(SNAPSHOT, apps=of)
    verdicts = plan(snapshot, NOW)
    back = load(dump(Recording(now_s=NOW, snapshot=snapshot, verdicts=verdicts)))
    assert back.snapshot == snapshot
    assert back.verdicts == verdicts == plan(back.snapshot, back.now_s)


@pytest.mark.parametrize("strategy", [Strategy.ROLLING, Strategy.ATOMIC])
def test_also_in_the_middle_of_a_rollout(strategy: Strategy) -> None:
    world = Swapping(way(strategy), servers=3)
    world.tick()
    world.until(at_step(1))
    for _ in range(10):
        snapshot = Snapshot(apps=(world.app,))
        back = load(dump(Recording(now_s=world.now_s, snapshot=snapshot)))
        assert plan(back.snapshot, back.now_s) == plan(snapshot, world.now_s)
        world.tick()


@pytest.mark.parametrize("value", [inf, -inf, nan, 0.1 + 0.2, 1e-320, 1.7e308, 7, None])
def test_numbers_come_back_exactly(value: float | None) -> None:
    known = Memory(load=Load(peaks=((1.0, value or 0.0),)), shrunk=(value or 0.0, 1.0))
    odd = replace(app(serving(1), known), goal=Goal(kind=GoalKind.AVERAGE, target_ms=value))
    because = Because(reason=Reason.STEADY, servers=1, wanted=1, inputs=(("x", value),))
    hold = Hold(app="shop/web", edition="v1", because=because)
    text = dump(Recording(now_s=NOW, snapshot=Snapshot(apps=(odd,)), verdicts=(hold,)))
    back = load(text)
    assert "Infinity" not in text
    assert "NaN" not in text
    assert repr(back.snapshot.apps[0].goal.target_ms) == repr(value)
    assert repr(back.snapshot.apps[0].editions[0].memory) == repr(known)
    assert repr(back.verdicts[0].because.inputs) == repr((("x", value),))


def edited(path: str, value: Any = None) -> str:
    """The recording with one value changed, or (None) left out."""
    raw = json.loads(dump(replace(RECORDING, snapshot=SNAPSHOT)))
    *where, last = path.split("/")
    part = raw
    for step in where:
        part = part[int(step) if step.isdigit() else step]
    part.pop(last) if value is None else part.update({last: value})
    return json.dumps(raw)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param(
            edited("snapshot/apps/0/colour", 1), "snapshot.apps[0].colour: App has no such", id="unknown"
        ),
        pytest.param(edited("snapshot/apps/0/key"), "snapshot.apps[0].key: App has no value", id="left out"),
        pytest.param(
            edited("snapshot/apps/0/goal/kind", "fast"), "goal.kind: one of averageResp", id="no member"
        ),
        pytest.param(
            edited("snapshot/nodes/0/ready", "yes"), "nodes[0].ready: true or false", id="no truth value"
        ),
        pytest.param(
            edited("snapshot/apps/0/min_servers", 1.5), "min_servers: a whole number", id="a fraction"
        ),
        pytest.param(edited("snapshot/apps/0/servers", {}), "servers: an array is wanted", id="no array"),
        pytest.param(edited("now_s", {"float": "huge"}), "now_s: a number is wanted", id="no number"),
        pytest.param(edited("now_s", {"float": []}), "now_s: a number is wanted", id="nothing like a number"),
        pytest.param(
            edited("verdicts/0/type", "Explode"), "verdicts[0]: an object of a type", id="no verdict"
        ),
        pytest.param(
            edited("version", 2), "version: 1 is the version that can be read", id="of another version"
        ),
        pytest.param(edited("version", True), "version: 1 is the version that", id="no version"),
        pytest.param("[]", "an object is wanted", id="an array"),
        pytest.param('{"version": NaN}', "NaN is no JSON", id="NaN, which JSON has not"),
        pytest.param("[" * 100_000, "no JSON", id="very deep"),
        pytest.param("", "no JSON", id="nothing"),
    ],
)
def test_what_cannot_be_read_is_named(text: str, says: str) -> None:
    with pytest.raises(Unreadable) as refused:
        load(text)
    assert says in str(refused.value)


NAMES = st.sampled_from(("apps", "nodes", "key", "goal", "type", "float", "name"))
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner),
)


@given(JSON)
@settings(max_examples=100, deadline=None)
def test_any_json_is_read_or_refused(raw: Any) -> None:
    for value in (raw, {"version": 1, "now_s": 0.0, "snapshot": raw}, {"version": 1, "verdicts": raw}):
        try:
            load(json.dumps(value))
        except Unreadable:
            pass


def test_what_an_older_version_did_not_write_has_its_default() -> None:
    back = load(edited("snapshot/nodes/0/power"))
    assert back.snapshot.nodes[0].power is Power.UNKNOWN
    assert load('{"version": 1, "now_s": 1, "snapshot": {}}') == Recording(now_s=1, snapshot=Snapshot())


def test_what_has_its_default_takes_no_room() -> None:
    small = app((), Memory())
    assert '"progress"' not in dump(Recording(now_s=NOW, snapshot=Snapshot(apps=(small,))))
