"""Figures that nobody should ever report, and some that are only odd."""

from dataclasses import replace
from math import inf, nan
from typing import Any

from hypothesis import strategies as st

from millpond_policies.learn.histogram import BOUNDS_MS
from millpond_policies.learn.learning import Sample

from policies.building import NOW, sample

BUCKETS = len(BOUNDS_MS) + 1
ODD: tuple[Any, ...] = (
    0, 0.0, -0.0, 1, -1, 0.25, 1e-9, 5e-324, nan, inf, -inf, 1e15, 1e300, -1e300, 2**63, -(2**63), 10**400
)  # fmt: skip
figures = st.sampled_from(ODD) | st.floats() | st.integers(-(2**70), 2**70)
quiet_figures = st.integers(0, 40) | st.floats(0, 40)


@st.composite
def histograms(draw: st.DrawFn) -> tuple[Any, ...]:
    """Empty, of the right length, or malformed."""
    length = draw(st.sampled_from((0, BUCKETS, BUCKETS, 1, BUCKETS - 1, BUCKETS + 1, 3 * BUCKETS)))
    number = draw(st.integers(0, 50) | figures)
    counts = [0] * length
    for at in draw(st.lists(st.integers(0, max(0, length - 1)), max_size=3)) if length else ():
        counts[at] = number
    return tuple(counts)


FIELDS = ("window_s", "requests", "errors", "sum_ms", "in_flight", "serving", "young", "starting")


@st.composite
def samples(draw: st.DrawFn, at_s: float) -> Sample:
    """A quiet second in which some figures are whatever."""
    rate = draw(st.sampled_from((0, 1, 3, 12, 40, 120_000)))
    changes: dict[str, Any] = {
        name: draw(figures) for name in draw(st.sets(st.sampled_from(FIELDS), max_size=2))
    }
    changes["sum_ms"] = changes.get("sum_ms", rate * draw(st.sampled_from((0, 0, 0.3, 1, 100, 10_000))))
    changes["cpu_cores"] = draw(st.none() | figures)
    changes["cores_per_server"] = draw(st.none() | figures | st.just(1.0))
    changes["histogram"] = draw(histograms())
    changes["complete"] = draw(st.booleans()) or draw(st.booleans())
    at = draw(figures) if draw(st.integers(0, 20)) == 0 else at_s
    return replace(sample(at_s, rate, draw(st.integers(0, 3))), **{**changes, "at_s": at})


@st.composite
def seconds(draw: st.DrawFn) -> list[Sample]:
    """Up to NOW, each drawn kind of second a few times over so that something can be learned of it."""
    found: list[Sample] = []
    at = NOW - 100
    for _ in range(draw(st.integers(1, 5))):
        kind = draw(samples(at))
        for _ in range(draw(st.sampled_from((1, 3, 15)))):
            at += 1
            found.append(replace(kind, at_s=at if kind.at_s <= at else kind.at_s))
    return found
