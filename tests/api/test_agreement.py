"""What admission accepts the operator can read, and whatever it reads can be computed with."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from millpond.api.checks.fields import is_date_time
from millpond.api.checks.parsing import SpecError
from millpond.api.durations import is_duration, seconds
from millpond.api.kinds import dynamicpool, elasticapp, slapolicy
from millpond.api.names import DYNAMICPOOL, EDITION, ELASTICAPP, SLAPOLICY
from millpond.clock import from_rfc3339, rfc3339
from millpond.control.learn.knowledge import Knowledge
from millpond.control.report import decisions
from millpond.control.resolve import rollouts
from millpond.control.resolve.candidates import ValidApp
from millpond.router.config import fault
from millpond_policies.plan import plan
from millpond_policies.world.model import Snapshot

from api.manifests import MODULES, Manifest, manifest
from api.odd import DATES, DURATIONS, dates, durations, manifests
from api.server import Refused, Server
from kube.builders import app, app_routes, app_view, holdings, retiring, sibling, status

KINDS = (ELASTICAPP, SLAPOLICY, DYNAMICPOOL, EDITION)
NOW = 1_700_000_000.0
QUICK = {"deadline": None, "suppress_health_check": list(HealthCheck)}


def computed(raw: Manifest) -> None:
    """Everything that a cycle does with what was read."""
    good = app()
    raw = {**raw, "metadata": {**good.raw["metadata"], **raw["metadata"]}}
    found, kind = good, raw["kind"]
    if kind == ELASTICAPP:
        found = ValidApp(
            key="shop/cart", raw=raw, spec=elasticapp.parse(raw), policy=good.policy, pool=good.pool
        )
    elif kind == SLAPOLICY:
        found = ValidApp(
            key="shop/cart", raw=good.raw, spec=good.spec, policy=slapolicy.parse(raw), pool=good.pool
        )
    elif kind == DYNAMICPOOL:
        found = ValidApp(
            key="shop/cart", raw=good.raw, spec=good.spec, policy=good.policy, pool=dynamicpool.parse(raw)
        )
    for held in (holdings(), holdings(sibling("a"), retiring())):
        view = app_view(found, held, Knowledge(), {}, NOW)
        verdicts = plan(Snapshot(apps=(view,)), NOW)
        status(found, held, view, None, verdicts, NOW, None)
        [decisions.entry(verdict, NOW) for verdict in verdicts]
        rollouts.closed_until_s(found, NOW)
        rollouts.unknown_zones(found)
        routes = app_routes(found, held)
        assert routes is None or fault(routes) is None
    assert found.spec is not None
    if found.spec.paused:
        rfc3339(found.spec.paused.until_s)


def read(raw: Manifest) -> bool:
    """Whether the operator can read it; any other exception than SpecError is a failure."""
    try:
        MODULES[raw["kind"]].parse(raw)
    except SpecError as refused:
        return not refused.problems
    return True


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=400, **QUICK)
@given(data=st.data())
def test_any_spec_is_read_or_refused_with_a_sentence(kind: str, data: st.DataObject) -> None:
    raw = data.draw(manifests(kind))
    if read(raw):
        computed(raw)


@pytest.mark.integration
@pytest.mark.parametrize("kind", KINDS)
def test_what_admission_accepts_the_operator_reads(dry: Server, kind: str) -> None:
    asked = {True: 0, False: 0}

    @settings(max_examples=300, **QUICK)
    @given(manifests(kind))
    def agree(raw: Manifest) -> None:
        try:
            stored = dry.create(raw, dry_run=True)
        except Refused:
            asked[False] += 1
            read(raw)
            return
        asked[True] += 1
        assert read(stored), f"accepted: {raw['spec']}"
        computed(stored)

    agree()
    assert min(asked.values()) > 20, f"both happen: {asked}"


@pytest.mark.integration
@pytest.mark.parametrize(
    ("field", "texts", "is_one"),
    [
        pytest.param("paused.until", DATES, is_date_time, id="dates"),
        pytest.param("rollout.soak", DURATIONS, is_duration, id="durations"),
    ],
)
def test_admission_and_operator_agree_on_every_odd_value(
    dry: Server, field: str, texts: tuple[str, ...], is_one: Any
) -> None:
    for text in texts:
        raw = manifest(ELASTICAPP, {field: text})
        assert _accepted(dry, raw) == read(raw), text
        assert is_one(text) or not read(raw)


@pytest.mark.integration
def test_admission_and_operator_agree_on_any_date_and_duration(dry: Server) -> None:
    @settings(max_examples=200, **QUICK)
    @given(dates, durations, durations)
    def agree(until: str, soak: str, target: str) -> None:
        for raw in (
            manifest(ELASTICAPP, {"paused.until": until}),
            manifest(ELASTICAPP, {"rollout.soak": soak}),
            manifest(SLAPOLICY, {"goal.target": target}),
        ):
            assert _accepted(dry, raw) == read(raw), raw["spec"]

    agree()


def _accepted(server: Server, raw: Manifest) -> bool:
    try:
        server.create(raw, dry_run=True)
    except Refused:
        return False
    return True


@given(st.sampled_from(DATES) | dates | st.text(max_size=30) | st.none() | st.integers())
def test_any_date_is_a_moment_that_can_be_written_or_a_value_error(text: Any) -> None:
    try:
        at_s = from_rfc3339(text)
    except ValueError:
        return
    assert from_rfc3339(rfc3339(at_s)) == pytest.approx(
        max(-62_135_596_800, min(253_402_300_799, at_s)), abs=1
    )


@given(st.floats() | st.integers())
def test_any_moment_can_be_written(at_s: float) -> None:
    from_rfc3339(rfc3339(at_s))


@pytest.mark.parametrize(
    ("text", "same"), [("23h59m59.999s1ms", "24h"), ("59m59.9s100ms", "1h"), ("0.1s0.2s", "300ms")]
)
def test_durations_are_added_exactly(text: str, same: str) -> None:
    assert seconds(text) == seconds(same)


def test_limits_shorter_than_routers_can_tell_are_the_shortest_that_they_can() -> None:
    route = {"host": "a.test", "timeout": "0.001ms", "idleTimeout": "0.5ms"}
    computed(manifest(ELASTICAPP, {"routes": [route]}))
