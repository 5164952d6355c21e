"""Change windows on the calendar: whether one is open, and until when.

A window is open whenever the clock on the wall there stands in it. So 00:00 to 06:00 lasts five hours on the day when
clocks go forward and seven when they go back, and an hour that the clock shows twice is in the window twice.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from difflib import get_close_matches
from functools import cache, lru_cache
from itertools import groupby
from zoneinfo import ZoneInfo, available_timezones

from millpond.api.kinds.windows import ChangeWindow

_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DAY = timedelta(days=1)
# A window on one day of the week that the clock skips this time comes again in a fortnight.
_AHEAD_DAYS = 17
_LOOK_AGAIN_S = 3600.0
_KEPT = 4096  # answers, all tenants' together


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """True from one moment until another."""

    open: bool
    ends_s: float | None
    from_s: float
    until_s: float


_answers: dict[tuple[tuple[ChangeWindow, ...], ...], _Answer] = {}


@lru_cache(maxsize=_KEPT)
def check_zone(name: str) -> str | None:
    """What is wrong with the name of a time zone; None: nothing."""
    if _zone(name) is not None:
        return None
    close = get_close_matches(name, _alike().get(_initials(name), ()), n=1)
    hint = f"did you mean {close[0]}?" if close else "write its IANA name, such as Europe/Berlin or UTC"
    return f'"{name}" is not a known time zone: {hint}'


def opens(
    windows: Sequence[ChangeWindow], now_s: float, also: Sequence[ChangeWindow] = ()
) -> tuple[bool, float | None]:
    """Whether the windows are open, and when that ends (epoch seconds); None: never, as far as can be seen.

    ``also``: those of the pool; where both have windows, one of each must be open. No windows are always open, one
    in an unknown time zone never. An answer is remembered until it changes.
    """
    key = (tuple(windows), tuple(also))
    known = _answers.get(key)
    if known is None or not known.from_s <= now_s < known.until_s:
        open_now, ends_s = _opens([group for group in key if group], now_s)
        until_s = now_s + _LOOK_AGAIN_S if ends_s is None else ends_s
        known = _Answer(open=open_now, ends_s=ends_s, from_s=now_s, until_s=until_s)
        while len(_answers) >= _KEPT:
            _answers.pop(next(iter(_answers)))
        _answers[key] = known
    return known.open, known.ends_s


def _opens(groups: Sequence[tuple[ChangeWindow, ...]], now_s: float) -> tuple[bool, float | None]:
    """The changes of all windows in their order: after which is the whole something else than now?"""
    day = int(now_s // 86_400)
    flat = [(n, window) for n, group in enumerate(groups) for window in group]
    is_open = [_contains(window, now_s) for _, window in flat]
    counts = [
        sum(state for state, (m, _) in zip(is_open, flat, strict=True) if m == n) for n in range(len(groups))
    ]
    changes = [
        (at_s, n, i, state)
        for i, (n, window) in enumerate(flat)
        for at_s, state in _changes(window, day)
        if at_s > now_s
    ]
    open_now = all(counts)
    for at_s, same_moment in groupby(sorted(changes), key=lambda change: change[0]):
        for _, n, i, state in same_moment:
            counts[n] += state - is_open[i]
            is_open[i] = state
        if all(counts) != open_now:
            return open_now, at_s
    return open_now, None


@lru_cache(maxsize=_KEPT)
def _changes(window: ChangeWindow, day: int) -> tuple[tuple[float, bool], ...]:
    """From the beginning of that day (since the epoch, UTC) on: every moment at which the window opens or closes."""
    start_s = day * 86_400.0
    state, found = _contains(window, start_s), []
    for at_s in sorted({at_s for at_s in _moments(window, start_s) if at_s > start_s}):
        if _contains(window, at_s) is not state:
            state = not state
            found.append((at_s, state))
    return tuple(found)


def _contains(window: ChangeWindow, at_s: float) -> bool:
    zone = _zone(window.time_zone)
    if zone is None:
        return False
    there = datetime.fromtimestamp(at_s, zone)
    start, end, clock = _clock(window.start), _clock(window.end), there.time()
    if start < end:
        return start <= clock < end and _opens_on(window, there.date())
    since_yesterday = clock < end and _opens_on(window, there.date() - _DAY)
    return since_yesterday or (clock >= start and _opens_on(window, there.date()))


def _opens_on(window: ChangeWindow, day: date) -> bool:
    return window.days is None or _WEEKDAYS[day.weekday()] in window.days


def _moments(window: ChangeWindow, now_s: float) -> Iterator[float]:
    """Epoch seconds from now on, among which are all at which the window opens or closes."""
    zone = _zone(window.time_zone)
    if zone is None:
        return
    today = datetime.fromtimestamp(now_s, zone).date()
    for day in (today + n * _DAY for n in range(-1, _AHEAD_DAYS)):
        for clock in (window.start, window.end):
            there = datetime.combine(day, _clock(clock), zone)
            yield there.timestamp()
            if there.replace(fold=1).utcoffset() != there.utcoffset():  # an hour that comes twice, or never
                yield there.replace(fold=1).timestamp()
        yield from _clock_change(zone, day)


def _clock_change(zone: ZoneInfo, day: date) -> Iterator[float]:
    """The moment within 24 hours from the day's midnight, UTC, at which the clocks of the zone are changed."""
    before_s = int(datetime.combine(day, time(), UTC).timestamp())
    after_s = before_s + 24 * 3600
    if _offset(zone, before_s) == _offset(zone, after_s):
        return
    while after_s - before_s > 1:
        middle_s = (before_s + after_s) // 2
        if _offset(zone, middle_s) == _offset(zone, after_s):
            after_s = middle_s
        else:
            before_s = middle_s
    yield float(after_s)


def _offset(zone: ZoneInfo, at_s: float) -> timedelta | None:
    return datetime.fromtimestamp(at_s, zone).utcoffset()


def _clock(text: str) -> time:
    """ "06:30" -> 06:30"""
    return time.fromisoformat(text)


def _zone(name: str) -> ZoneInfo | None:
    """Only what the data base lists is looked up: tenants choose the names."""
    return _load(name) if name in _known_zones() else None


@cache
def _load(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # gone, or no file of a time zone
        return None


@cache
def _known_zones() -> dict[str, None]:
    """In their order."""
    return dict.fromkeys(sorted(available_timezones()))


@cache
def _alike() -> dict[str, list[str]]:
    """By their initials: comparing with all of them takes milliseconds for each wrong name."""
    found: dict[str, list[str]] = {}
    for zone in _known_zones():
        found.setdefault(_initials(zone), []).append(zone)
    return found


def _initials(name: str) -> str:
    """Europe/Berlin -> eb"""
    return (name[:1] + name.rpartition("/")[2][:1]).casefold()
