"""The response time of one app over a window, as Prometheus tells it."""

from collections.abc import Mapping
from dataclasses import dataclass

from millpond.prom import buckets
from millpond.prom.errors import PromRejected, PromUnknown
from millpond.prom.reader import PromReader, Series, known
from millpond.prom.servers import is_fresh
from millpond.prom.sources import PRESETS, Preset, chosen, question
from millpond_policies import histogram

__all__ = ["PRESETS", "Response", "response_time"]

COVERED = 0.8
FEWEST_SAMPLES = 3


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
    """Over ``millpond_policies.histogram.BOUNDS_MS``; empty when the source has no buckets."""
    percentile_ms: float | None
    """None when not asked for, or without requests."""
    complete: bool
    """False when under 80 % of the proxies that should report do: the load looks smaller than it is."""

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
    """The app's response time over the last ``window_s``, which should be four scrape intervals or more.

    Ask once per window: consecutive answers then do not overlap. ``max_age_s`` defaults to half the window.
    Raises PromRejected (preset, labels or percentile are wrong), PromUnavailable, PromUnknown (no series, too
    old, NaN).
    """
    source = chosen(preset, labels, percentile)
    max_age_s = window_s / 2 if max_age_s is None else max_age_s
    series = await reader.query(question(source, namespace, labels, window_s, max_age_s))
    figures = {s.labels["part"]: s.value for s in series if "le" not in s.labels}
    now_s = reader.clock()
    _usable(figures, source, now_s, window_s, max_age_s)
    counts = buckets.histogram(_cumulative_ms(series, source.ms))
    return Response(
        at_s=figures["at"],
        age_s=max(0.0, now_s - figures["at"]),
        window_s=window_s,
        requests=figures["requests"],
        errors=known(figures.get("errors")),
        sum_ms=figures["total"] * source.ms,
        histogram=counts,
        percentile_ms=_percentile_ms(counts, percentile, figures["requests"], source),
        complete=figures.get("reporting", 0.0) >= COVERED * figures.get("expected", float("inf")),
    )


def _usable(
    figures: Mapping[str, float], source: Preset, now_s: float, window_s: float, max_age_s: float
) -> None:
    at_s = figures.get("at")
    if at_s is None:
        raise PromUnknown(f"no series of {source.count} match the labels in this namespace")
    if not is_fresh(at_s, now_s, max_age_s):
        raise PromUnknown(
            f"the newest sample of {source.count} is {now_s - at_s:.0f} s old, {max_age_s:g} s is the most"
        )
    if (samples := figures.get("samples", 0.0)) < FEWEST_SAMPLES:
        raise PromUnknown(
            f"{window_s:g} s hold {samples:g} samples of {source.count}, {FEWEST_SAMPLES} are the least"
        )
    for part in ("requests", "total"):
        if known(figures.get(part)) is None or known(figures[part] * source.ms) is None:
            raise PromUnknown(f"the {part} of {source.count} over {window_s:g} s is not a usable number")


def _cumulative_ms(series: tuple[Series, ...], ms: float) -> dict[float, float]:
    found: dict[float, float] = {}
    for s in series:
        if "le" in s.labels and (count := known(s.value)) is not None:
            try:
                found[float(s.labels["le"]) * ms] = count
            except ValueError:
                continue
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
