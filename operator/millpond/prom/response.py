"""The response time of one app over a window, as Prometheus tells it."""

from collections.abc import Mapping
from dataclasses import dataclass

from millpond.prom import buckets
from millpond.prom.errors import PromRejected, PromUnknown
from millpond.prom.presets import Preset, chosen, question
from millpond.prom.reader import PromReader, Series, known
from millpond.prom.servers import is_fresh
from millpond_policies.learn import histogram

COVERED = 0.8
FEWEST_SAMPLES = 4
WIDER = 3
WIDEST_S = 300.0
SCRAPES_OLD = 2
LATE_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What an app's proxies counted in the ``window_s`` before ``at_s``: parts of one ``learning.Sample``.

    Zero requests is a true zero; what is not known raises instead, or is None.
    """

    at_s: float
    """When the newest sample was scraped."""
    age_s: float
    window_s: float
    requests: float
    errors: float | None
    """Answers 5xx; None when the preset or the proxy does not count them."""
    sum_ms: float
    histogram: tuple[int, ...]
    """Over ``millpond_policies.learn.histogram.BOUNDS_MS``; empty when the source has no buckets."""
    percentile_ms: float | None
    """None when not asked for, or without requests."""
    complete: bool
    """False when under 80 % of the proxies that should report do, or did a window ago: the load looks smaller
    than it is."""

    @property
    def rate_rps(self) -> float:
        return self.requests / self.window_s

    @property
    def error_rps(self) -> float | None:
        return None if self.errors is None else self.errors / self.window_s

    @property
    def mean_ms(self) -> float | None:
        return self.sum_ms / self.requests if self.requests > 0 else None


async def response_time(
    reader: PromReader,
    preset: str,
    labels: Mapping[str, str],
    window_s: float = 60.0,
    *,
    namespace: str,
    percentile: float | None = None,
    max_age_s: float | None = None,
) -> Response:
    """The app's response time over the last ``window_s``, or a wider window where scrapes are too seldom for it.

    Ask again after the answer's ``window_s``: then no request counts twice. ``max_age_s`` defaults to about two
    scrapes. Raises PromRejected (preset, labels or percentile are wrong), PromUnavailable, PromUnknown (no series,
    too old, NaN).
    """
    source = chosen(preset, labels, percentile)
    for window in _windows(window_s):
        series = await reader.query(question(source, namespace, labels, window))
        figures = {s.labels.get("part", ""): s.value for s in series if "le" not in s.labels}
        if figures.get("samples", FEWEST_SAMPLES) >= FEWEST_SAMPLES:
            break
    age_s = _usable_age_s(figures, source, reader.clock(), window, max_age_s)
    counts = buckets.histogram(_cumulative_ms(series, source.ms))
    return Response(
        at_s=figures["at"],
        age_s=age_s,
        window_s=window,
        requests=figures["requests"],
        errors=known(figures.get("errors")),
        sum_ms=_sum_ms(figures, source),
        histogram=counts,
        percentile_ms=_percentile_ms(counts, percentile, figures["requests"], source),
        complete=_complete(figures),
    )


def _complete(figures: Mapping[str, float]) -> bool:
    expected = known(figures.get("expected"))
    return expected is not None and all(
        figures.get(part, 0.0) >= COVERED * expected for part in ("reporting", "before")
    )


def _windows(window_s: float) -> tuple[float, ...]:
    return (window_s, *(w for w in (WIDER * window_s, WIDER**2 * window_s) if w <= WIDEST_S))


def _usable_age_s(
    figures: Mapping[str, float], source: Preset, now_s: float, window_s: float, max_age_s: float | None
) -> float:
    """How old the newest sample is; raises PromUnknown unless the figures say something about now."""
    at_s, samples = figures.get("at"), figures.get("samples", 0.0)
    if at_s is None:
        raise PromUnknown(f"no series of {source.count} match the labels in this namespace")
    if samples < FEWEST_SAMPLES:
        raise PromUnknown(
            f"{window_s:g} s hold {samples:g} samples of {source.count}, {FEWEST_SAMPLES} are the least"
        )
    most_s = SCRAPES_OLD * window_s / samples + LATE_S if max_age_s is None else max_age_s
    if not is_fresh(at_s, now_s, most_s):
        raise PromUnknown(
            f"the newest sample of {source.count} is {now_s - at_s:.0f} s old, {most_s:.0f} s at most"
        )
    for part in ("requests", "measured", "total"):
        if known(figures.get(part)) is None or known(figures[part] * source.ms) is None:
            raise PromUnknown(f"the {part} of {source.count} over {window_s:g} s is not a usable number")
    return max(0.0, now_s - at_s)


def _sum_ms(figures: Mapping[str, float], source: Preset) -> float:
    """All requests took as long as those that were measured did on average."""
    if figures["measured"] > 0:
        total_ms = figures["total"] * source.ms / figures["measured"] * figures["requests"]
        if known(total_ms) is None:
            raise PromUnknown(f"the response time of {source.count} is not a usable number")
        return total_ms
    if figures["requests"] > 0:
        raise PromUnknown(f"no response time was added to {source.count} in the window: widen it")
    return 0.0


def _cumulative_ms(series: tuple[Series, ...], ms: float) -> dict[float, float]:
    found: dict[float, float] = {}
    for s in series:
        if "le" in s.labels and (count := known(s.value)) is not None:
            try:
                bound_ms = float(s.labels["le"]) * ms
            except ValueError:
                continue
            if bound_ms >= 0:  # not so for NaN, which has no place among others
                found[bound_ms] = count
    return found


def _percentile_ms(
    counts: tuple[int, ...], percentile: float | None, requests: float, source: Preset
) -> float | None:
    if percentile is None or round(requests) <= 0:
        return None
    if not counts:
        raise PromRejected(
            f"{source.count.removesuffix('_count')} is exported without buckets, so no percentile: "
            "use an averageResponseTime goal or let the proxy export a histogram"
        )
    return histogram.percentile_ms(counts, percentile)
