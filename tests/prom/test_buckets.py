"""Cumulative buckets over whatever bounds become counts over ours."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millpond.prom.buckets import histogram
from millpond_policies.learn.histogram import BOUNDS_MS, percentile_ms


@pytest.mark.parametrize(
    ("cumulative", "percentile", "low_ms", "high_ms"),
    [
        pytest.param({100: 0, 200: 100, inf: 100}, 50, 135, 165, id="the middle of one bucket"),
        pytest.param({100: 0, 200: 100, inf: 100}, 99, 185, 220, id="the end of one bucket"),
        pytest.param({50: 90, 100: 100, inf: 100}, 90, 45, 55, id="the bound between two"),
        pytest.param({100: 0, inf: 10}, 50, 100, 130, id="beyond the last bound: just above it"),
        pytest.param({100: 50, 200: 40, inf: 50}, 99, 90, 110, id="buckets that seem to shrink"),
        pytest.param({900_000: 0, inf: 10}, 50, 599_999, 600_001, id="beyond what is measured"),
    ],
)
def test_percentiles_are_those_of_the_source(
    cumulative: dict[float, float], percentile: float, low_ms: float, high_ms: float
) -> None:
    found = percentile_ms(histogram(cumulative), percentile)
    assert found is not None
    assert low_ms <= found <= high_ms


@pytest.mark.parametrize(
    "cumulative",
    [
        pytest.param({}, id="no buckets"),
        pytest.param({100: 5}, id="without +Inf the total is unknown"),
        pytest.param({100: 0, inf: 0}, id="no requests"),
    ],
)
def test_nothing_to_tell_is_empty(cumulative: dict[float, float]) -> None:
    assert histogram(cumulative) == ()


@given(st.dictionaries(st.floats(0.1, 1e7), st.floats(0, 1e6)), st.floats(1, 1e6))
def test_no_request_is_lost_or_invented(finite: dict[float, float], total: float) -> None:
    found = histogram({**{bound: min(count, total) for bound, count in finite.items()}, inf: total})
    assert sum(found) == round(total)
    assert len(found) == len(BOUNDS_MS) + 1
    assert min(found) >= 0
