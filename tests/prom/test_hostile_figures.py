"""Whatever Prometheus answers, an observation or a refusal comes of it, and the loop goes on."""

import asyncio
from math import inf, nan
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from millpond.control.learn.measure import _observed
from millpond.prom.buckets import histogram
from millpond.prom.errors import PromError
from millpond.prom.reader import Series, _series
from millpond.prom.response import response_time
from millpond.prom.servers import server_usage
from millpond_policies.learn.histogram import BOUNDS_MS
from millpond_policies.learn.learning import Sample
from millpond_policies.learn.sample import sound

NOW = 1_700_000_000.0
PARTS = ("at", "samples", "requests", "measured", "total", "errors", "reporting", "before", "expected")
GOOD = {"at": NOW - 1, "samples": 6.0, "requests": 40.0, "measured": 40.0, "total": 8.0, "errors": 0.0,
        "reporting": 1.0, "before": 1.0, "expected": 1.0}  # fmt: skip
FIGURES = st.floats() | st.sampled_from((0.0, 5e-324, 1e-300, -1.0, nan, inf, -inf, 1e15, 1e300, 1e10, 0.4))
VALUES: Any = st.none() | st.booleans() | FIGURES | st.integers() | st.text(max_size=4) | st.just(10**400)
JSON = st.recursive(
    VALUES, lambda of: st.lists(of, max_size=3) | st.dictionaries(st.text(max_size=3), of, max_size=2)
)


class Answering:
    """In the place of a PromReader: one answer to all questions."""

    def __init__(self, result: Any) -> None:
        self.result = result

    def clock(self) -> float:
        return NOW

    async def query(self, promql: str) -> tuple[Series, ...]:
        return _series(self.result)


def row(value: float, **labels: str) -> dict[str, Any]:
    return {"metric": labels, "value": [NOW, repr(value)]}


@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.dictionaries(st.sampled_from(PARTS), FIGURES, max_size=4),
    st.lists(
        st.tuples(st.sampled_from(("0.1", "1", "+Inf", "-Inf", "NaN", "-1", "x", "1e309")), FIGURES),
        max_size=5,
    ),
    st.sampled_from((None, 95.0)),
)
def test_any_figures_are_an_observation_that_can_be_or_a_refusal(
    changed: dict[str, float], buckets: list[tuple[str, float]], percentile: float | None
) -> None:
    rows = [row(value, part=part) for part, value in {**GOOD, **changed}.items()]
    rows += [row(count, part="bucket", le=le) for le, count in buckets]
    asked = response_time(
        Answering(rows),
        "envoy",
        {"envoy_cluster_name": "x"},
        20.0,
        namespace="shop",
        percentile=percentile,  # type: ignore[arg-type]
    )
    try:
        seen = _observed(asyncio.run(asked))
    except PromError:
        return
    sample = Sample(
        at_s=seen.at_s, window_s=seen.window_s, requests=seen.requests, errors=seen.errors, sum_ms=seen.sum_ms,
        histogram=seen.histogram, in_flight=seen.in_flight, serving=1, complete=seen.complete,
    )  # fmt: skip
    assert sound(sample)


@settings(max_examples=300, deadline=None)
@given(JSON)
def test_any_json_is_series_or_a_refusal(result: Any) -> None:
    for question in (
        response_time(Answering(result), "envoy", {"envoy_cluster_name": "x"}, 20.0, namespace="shop"),  # type: ignore[arg-type]
        server_usage(Answering(result), ["shop"]),  # type: ignore[arg-type]
    ):
        try:
            asyncio.run(question)
        except PromError:
            pass


@settings(max_examples=300)
@given(st.dictionaries(FIGURES, FIGURES, max_size=5), st.sampled_from((5.0, nan, inf, 1e300)))
def test_any_buckets_are_counts_or_nothing(cumulative: dict[float, float], total: float) -> None:
    for buckets in (cumulative, {**cumulative, inf: total}):
        found = histogram(buckets)
        assert len(found) in (0, len(BOUNDS_MS) + 1)
        assert all(n >= 0 for n in found)


@pytest.mark.parametrize("requests", [inf, nan, 1e12, -1.0])
def test_more_requests_than_there_can_be_are_a_refusal(requests: float) -> None:
    rows = [row(value, part=part) for part, value in {**GOOD, "requests": requests}.items()]
    asked = response_time(Answering(rows), "envoy", {"envoy_cluster_name": "x"}, 20.0, namespace="shop")  # type: ignore[arg-type]
    with pytest.raises(PromError):
        _observed(asyncio.run(asked))
