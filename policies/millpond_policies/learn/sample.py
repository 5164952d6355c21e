"""One observation of one edition, and whether it can be true at all.

Figures come from routers and from Prometheus. What is not a number, negative, infinite or beyond any machine teaches
nothing: it is ignorance, and never makes anything smaller. All that is computed later relies on these limits.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from millpond_policies.learn.histogram import BOUNDS_MS

LATEST_S = 1e11  # epoch seconds, about the year 5100
SHORTEST_S, LONGEST_S = 0.01, 3600.0  # that one observation covers
MOST_COUNTED = 10**9  # requests of one observation, and in flight
MOST_SERVERS = 10**6
SLOWEST_MS = 86_400_000.0  # a day for each request
LEAST_CORES, MOST_CORES = 1e-6, 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One observation of one edition, all routers together.

    ``requests`` were completed within the ``window_s`` seconds before ``at_s`` and took ``sum_ms`` altogether;
    ``in_flight`` (active and waiting in the router), ``serving``, ``young`` (of the serving ones: within their
    warm-up) and ``starting`` are counts at ``at_s``.
    """

    at_s: float
    window_s: float
    requests: int
    errors: int = 0
    sum_ms: float
    histogram: tuple[int, ...] = ()  # over BOUNDS_MS, or empty
    in_flight: int
    serving: int
    young: int = 0
    starting: int = 0
    cpu_cores: float | None = None  # used by all serving servers together; only when fresh
    cores_per_server: float | None = None  # that one server can use (its limit), when known
    complete: bool = True  # every router that may serve this edition is in it


def sound(sample: Sample) -> bool:
    """Whether the sample can be true. CPU figures are judged apart (``with_cpu``): they are an extra."""
    return (
        possible(sample.at_s, sample.window_s, sample.requests, sample.errors, sample.sum_ms)
        and _counted(sample.histogram)
        and _whole(sample.in_flight, MOST_COUNTED)
        and all(_whole(n, MOST_SERVERS) for n in (sample.serving, sample.young, sample.starting))
    )


def possible(at_s: float, window_s: float, requests: int, errors: int, sum_ms: float) -> bool:
    """Whether so many requests can have taken so long in such a window; more errors than requests can't be."""
    return (
        _within(at_s, 0, LATEST_S)
        and _within(window_s, SHORTEST_S, LONGEST_S)
        and _whole(requests, MOST_COUNTED)
        and _whole(errors, requests)
        and _within(sum_ms, 0, SLOWEST_MS * (requests + 1))
    )


def with_cpu(sample: Sample) -> Sample:
    """The sample without CPU figures that no machine has; idle (0) tells nothing about a request's share either."""
    return replace(
        sample, cpu_cores=_cores(sample.cpu_cores), cores_per_server=_cores(sample.cores_per_server)
    )


def _cores(cores: float | None) -> float | None:
    return cores if cores is not None and _within(cores, LEAST_CORES, MOST_CORES) else None


def _counted(histogram: Iterable[int]) -> bool:
    counts = tuple(histogram)
    return len(counts) in (0, len(BOUNDS_MS) + 1) and all(_whole(n, MOST_COUNTED) for n in counts)


def _whole(number: object, most: int) -> bool:
    return isinstance(number, int) and 0 <= number <= most


def _within(number: float, least: float, most: float) -> bool:
    """False for NaN; whole numbers of any size are compared, never converted."""
    return isinstance(number, int | float) and least <= number <= most
