"""What comes in, and what to expect when a server that is ordered now would be ready.

The load is a *level* with noise on it. A second far outside the noise opens a *surge*; when it lasts and was a jump, a
new level begins there, and nothing of the old one is averaged into it (a ramp goes on within its level). Within a level
the forecast is the largest of

* the mean of the level (less its noise while it is younger than eight seconds),
* the mean of the last five seconds less its noise,
* the line through the last 4, 8, 16, 32, 64 or 118 seconds, with the slope less its noise, one horizon ahead,

times a margin that is learned: the 97 % quantile of (what came ÷ what was expected).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt

from millpond_policies.learn.seconds import GAP_S, Second

SURGE = 3.5  # deviations of one second that open a surge
DECIDED = 3  # seconds of a surge, then it was a jump or is a ramp
YOUNG_S = 8  # a level that is younger is taken for what it surely is, and teaches no margin
FLAT = 12  # seconds after which a ramp that has ended is a level
SURE = 3.0  # deviations that a recent mean and a slope are lowered by
STEEPEST = 1.5  # times the level, a line is followed no further,
AS_FAR = 1.5  # and no longer than this times its own length
MARGIN = 1.05  # before anything is learned
LARGEST_MARGIN = 1.25
_QUANTILE, _STEP = 0.97, 0.01
_SPANS = (4, 8, 16, 32, 64, 118)
_BUCKETS = 20  # that the window of peaks is kept in


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    margin: float = MARGIN
    dispersion: float = 1.0  # variance of a second's arrivals ÷ their mean; Poisson has 1
    level_rps: float | None = None
    expected_rps: float | None = None  # at the horizon, without margin
    since_s: float = 0.0  # when the present level began
    surge: int = 0  # seconds in a row above (+) or below (−) the noise of the level
    peaks: tuple[
        tuple[float, float], ...
    ] = ()  # (start, largest expected) of the pieces of the shrink window

    @property
    def settling(self) -> bool:
        """A rise has begun and where it ends is not known yet: at most three seconds."""
        return 0 < self.surge < DECIDED

    @property
    def noise(self) -> float:
        """One deviation of the mean of the level, relative to it, when a level has lasted for half a minute."""
        level = max(self.level_rps or 0.0, 0.01)
        return min(0.5, sqrt(self.dispersion / (level * 30)))

    @property
    def forecast_rps(self) -> float | None:
        return None if self.expected_rps is None else self.expected_rps * self.margin

    def peak_rps(self, now_s: float, window_s: float) -> float | None:
        """The largest forecast of the window."""
        seen = [rate for at, rate in self.peaks if at > now_s - window_s - window_s / _BUCKETS]
        return max(seen) * self.margin if seen else None

    def observe(
        self, seconds: Sequence[Second], *, span_s: float, horizon_s: float, window_s: float
    ) -> "Load":
        """Take in the newest of ``seconds``; ``span_s`` is how far back a level is averaged."""
        newest = seconds[-1]
        rate = newest.arrivals_rps
        broken = len(seconds) < 2 or newest.at_s - seconds[-2].at_s > GAP_S + 1.5 * newest.window_s
        if self.level_rps is None or broken:
            level = replace(self, level_rps=rate, since_s=newest.at_s, surge=0)
        else:
            level = self._levelled(seconds, rate)
        unsure = abs(level.surge) if level.surge < DECIDED else 0
        calm = _calm(seconds, level.since_s, newest.at_s - span_s, unsure)
        window = newest.window_s  # of one sample: what is called a second here may be longer
        mean, expected = (
            _expect(calm, level.dispersion / window, horizon_s / window) if calm else (rate, rate)
        )
        return replace(
            level,
            level_rps=mean,
            expected_rps=expected,
            dispersion=level._dispersed(seconds) if calm else level.dispersion,
            margin=level._margin(seconds, calm, horizon_s),
            peaks=_peaks(level.peaks, newest.at_s, expected, window_s),
        )

    def _levelled(self, seconds: Sequence[Second], rate: float) -> "Load":
        """Count the surge, and begin a new level when it has lasted."""
        level = self.level_rps or 0.0
        noise = sqrt(self.dispersion * max(level, 1.0) / seconds[-1].window_s)
        way = 1 if rate > level + SURGE * noise else -1 if rate < level - SURGE * noise else 0
        surge = self.surge + way if way * self.surge > 0 else way
        begun = _begun(seconds, level, surge)
        if begun is None:
            return replace(self, surge=surge)
        return replace(self, surge=0, since_s=begun.at_s)

    def _dispersed(self, seconds: Sequence[Second]) -> float:
        a, b = seconds[-1].arrivals_rps, seconds[-2].arrivals_rps if len(seconds) > 1 else 0.0
        if self.surge or len(seconds) < 2 or a + b <= 0:
            return self.dispersion
        seen = min(9.0, (a - b) ** 2 * seconds[-1].window_s / (a + b))
        return max(0.1, self.dispersion + (seen - self.dispersion) / 60)

    def _margin(self, seconds: Sequence[Second], calm: Sequence[float], horizon_s: float) -> float:
        """Compare what came with what was expected one horizon ago, unless a surge lies between."""
        then = seconds[-1].at_s - horizon_s
        if then < self.since_s + YOUNG_S or len(calm) < 5:
            return self.margin
        past = next((s for s in reversed(seconds) if s.at_s <= then), None)
        if past is None or past.expected_rps <= 0:
            return self.margin
        came = sum(calm[-5:]) / 5
        noise = sqrt(self.dispersion * max(came, 1.0) * (1 / 5 + 1 / len(calm)))
        above = came - 2 * noise > past.expected_rps * self.margin
        step = _STEP * (_QUANTILE if above else _QUANTILE - 1)
        return min(LARGEST_MARGIN, max(1.0, self.margin + step))


def _begun(seconds: Sequence[Second], level: float, surge: int) -> Second | None:
    """Where a new level began, once a surge has told."""
    rate, before = seconds[-1].arrivals_rps, seconds[-2].arrivals_rps
    if surge <= -5:
        return seconds[-4]
    rising = rate > before + 2 * sqrt(max(before, 1.0))
    if surge in (2, DECIDED):
        foot = seconds[-surge - 1].arrivals_rps if len(seconds) > surge else level
        jumped = seconds[-1 if surge == 2 else -2].arrivals_rps - foot > 0.5 * (rate - level)
        if jumped and not rising:
            return seconds[-2]
        return seconds[-1] if jumped and surge == DECIDED else None
    if surge < FLAT or len(seconds) < FLAT:
        return None
    last = [s.arrivals_rps for s in seconds[-FLAT:]]
    half = FLAT // 2
    later, earlier = sum(last[half:]) / half, sum(last[:half]) / half
    return seconds[-half] if later - earlier <= 2 * sqrt(max(later, 1.0) / half) else None


def _calm(seconds: Sequence[Second], since_s: float, oldest_s: float, surge: int) -> list[float]:
    """Arrivals of the present level, oldest first, without the surge at its end."""
    rates: list[float] = []
    for second in reversed(seconds[: len(seconds) - surge]):
        if second.at_s < since_s or second.at_s <= oldest_s:
            break
        rates.append(second.arrivals_rps)
    rates.reverse()
    return rates


def _expect(rates: Sequence[float], dispersion: float, horizon: float) -> tuple[float, float]:
    """The mean of the level, and what to expect ``horizon`` samples ahead."""
    mean = sum(rates) / len(rates)
    last = rates[-5:]
    recent = sum(last) / len(last)
    noise = sqrt(dispersion * max(mean, 1.0) / len(rates)) if len(rates) < YOUNG_S else 0.0
    expected = max(mean - noise, recent - SURE * sqrt(dispersion * max(recent, 1.0) / len(last)))
    for n in _SPANS:
        if len(rates) < n:
            break
        ahead = _line(rates[-n:], dispersion, min(horizon, AS_FAR * n))
        expected = max(expected, min(ahead, STEEPEST * max(mean, recent)))
    return mean, expected


def _line(rates: Sequence[float], dispersion: float, horizon: float) -> float:
    """Where the line through ``rates`` leads; 0 when its slope is within the noise."""
    n = len(rates)
    mean = sum(rates) / n
    middle = (n - 1) / 2
    square = n * (n * n - 1) / 12
    slope = sum((i - middle) * rate for i, rate in enumerate(rates)) / square
    slope -= SURE * sqrt(dispersion * max(mean, 1.0) / square)
    return mean + slope * (middle + horizon) if slope > 0 else 0.0


def _peaks(
    peaks: tuple[tuple[float, float], ...], at_s: float, rate: float, window_s: float
) -> tuple[tuple[float, float], ...]:
    piece_s = window_s / _BUCKETS
    while peaks and peaks[0][0] < at_s - window_s - 2 * piece_s:
        peaks = peaks[1:]
    if peaks and at_s - peaks[-1][0] < piece_s:
        start, seen = peaks[-1]
        return peaks if rate <= seen else (*peaks[:-1], (start, rate))
    return (*peaks, (at_s, rate))
