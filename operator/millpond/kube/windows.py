"""Change windows on the calendar: whether one is open, and until when.

A window is open whenever the clock on the wall there stands in it. So 00:00 to 06:00 lasts five hours on the day when
clocks go forward and seven when they go back, and an hour that the clock shows twice is in the window twice.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from difflib import get_close_matches
from functools import cache, lru_cache
from zoneinfo import ZoneInfo, available_timezones

from millpond.api.windows import ChangeWindow

_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DAY = timedelta(days=1)
# A window on one day of the week that the clock skips this time comes again in a fortnight.
_AHEAD_DAYS = 15


def check_zone(name: str) -> str | None:
    """What is wrong with the name of a time zone; None: nothing."""
    if _zone(name) is not None:
        return None
    close = get_close_matches(name, _known_zones(), n=1)
    hint = f"did you mean {close[0]}?" if close else "write its IANA name, such as Europe/Berlin or UTC"
    return f'"{name}" is not a known time zone: {hint}'


def opens(
    windows: Sequence[ChangeWindow], now_s: float, also: Sequence[ChangeWindow] = ()
) -> tuple[bool, float | None]:
    """Whether the windows are open, and when that ends (epoch seconds); None: never, as far as can be seen.

    ``also``: those of the pool; where both have windows, one of each must be open. No windows are always open, one
    in an unknown time zone never.
    """
    groups = [group for group in (windows, also) if group]
    open_now = _open(groups, now_s)
    moments = sorted({moment for group in groups for w in group for moment in _moments(w, now_s)})
    return open_now, next((m for m in moments if m > now_s and _open(groups, m) != open_now), None)


def _open(groups: Sequence[Sequence[ChangeWindow]], at_s: float) -> bool:
    return all(any(_contains(window, at_s) for window in group) for group in groups)


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
            for fold in (0, 1):  # an hour that comes twice
                yield datetime.combine(day, _clock(clock), zone).replace(fold=fold).timestamp()
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


@lru_cache(maxsize=256)  # tenants choose the names
def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # no such file, no such name, a directory
        return None


@cache
def _known_zones() -> tuple[str, ...]:
    return tuple(sorted(available_timezones()))
