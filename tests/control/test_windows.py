"""Change windows are open when the clock on the wall says so, whatever happens to that clock."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from millpond.api.kinds.windows import ChangeWindow
from millpond.control.resolve.windows import check_zone, opens

BERLIN, UTC = "Europe/Berlin", "UTC"


def at(text: str) -> float:
    """Epoch seconds of an RFC 3339 time."""
    return datetime.fromisoformat(text).timestamp()


def window(text: str, zone: str = BERLIN, *days: str) -> ChangeWindow:
    start, end = text.split("-")
    said = {"start": start, "end": end, "timeZone": zone} | ({"days": days} if days else {})
    return ChangeWindow.model_validate(said)


NIGHT = window("00:00-06:00")
LATE = window("22:00-02:00")
LATE_ON_FRIDAY = window("22:00-02:00", BERLIN, "Fri")
CASES = [
    # An ordinary Wednesday in November: Berlin is one hour ahead of UTC.
    (NIGHT, "2026-11-25T00:00:00+01:00", True, "2026-11-25T06:00:00+01:00", "it opens on the dot"),
    (NIGHT, "2026-11-25T05:59:59.999+01:00", True, "2026-11-25T06:00:00+01:00", "it is open to the last moment"),
    (NIGHT, "2026-11-25T06:00:00+01:00", False, "2026-11-26T00:00:00+01:00", "it closes on the dot"),
    (NIGHT, "2026-11-24T23:30:00Z", True, "2026-11-25T05:00:00Z", "it is the clock there that counts"),
    (window("00:00-06:00", UTC), "2026-11-24T23:30:00Z", False, "2026-11-25T00:00:00Z", "in UTC it is still closed"),
    # Over midnight.
    (LATE, "2026-11-25T23:00:00+01:00", True, "2026-11-26T02:00:00+01:00", "before midnight it is open into the day"),
    (LATE, "2026-11-26T01:00:00+01:00", True, "2026-11-26T02:00:00+01:00", "after midnight it is still open"),
    (LATE, "2026-11-26T02:00:00+01:00", False, "2026-11-26T22:00:00+01:00", "then it is closed until the evening"),
    (window("06:00-06:00"), "2026-11-25T12:00:00+01:00", True, None, "from an hour to the same hour is always open"),
    # Days: the one on which it opens.
    (LATE_ON_FRIDAY, "2026-11-27T23:00:00+01:00", True, "2026-11-28T02:00:00+01:00", "on Friday evening it is open"),
    (LATE_ON_FRIDAY, "2026-11-28T01:00:00+01:00", True, "2026-11-28T02:00:00+01:00", "Saturday morning is its end"),
    (LATE_ON_FRIDAY, "2026-11-27T01:00:00+01:00", False, "2026-11-27T22:00:00+01:00", "Friday morning is not"),
    (LATE_ON_FRIDAY, "2026-11-28T02:00:00+01:00", False, "2026-12-04T22:00:00+01:00", "it comes again in a week"),
    (window("10:00-10:00", UTC, "Sat", "Sun"), "2026-11-28T10:00:00Z", True, "2026-11-30T10:00:00Z",
     "two days that touch are one opening"),
    (window("00:00-00:00", UTC, "Mon", "Tue", "Wed", "Thu", "Fri"), "2026-11-27T23:59:00Z", True,
     "2026-11-28T00:00:00Z", "working days end on Friday"),
    # 2026-03-29, 02:00 in Berlin: the clock goes on to 03:00.
    (NIGHT, "2026-03-29T00:00:00+01:00", True, "2026-03-29T06:00:00+02:00", "five hours when clocks go forward"),
    (window("02:30-04:00"), "2026-03-29T01:59:59+01:00", False, "2026-03-29T03:00:00+02:00",
     "it opens when the clock skips its start"),
    (window("01:00-02:30"), "2026-03-29T01:30:00+01:00", True, "2026-03-29T03:00:00+02:00",
     "it closes when the clock skips its end"),
    (window("02:00-03:00"), "2026-03-28T12:00:00+01:00", False, "2026-03-30T02:00:00+02:00",
     "an hour that the clock skips does not come that day"),
    (window("02:00-03:00", BERLIN, "Sun"), "2026-03-22T12:00:00+01:00", False, "2026-04-05T02:00:00+02:00",
     "nor that week, if it has only that day"),
    # 2026-10-25, 03:00 in Berlin: the clock goes back to 02:00.
    (NIGHT, "2026-10-25T00:00:00+02:00", True, "2026-10-25T06:00:00+01:00", "seven hours when clocks go back"),
    (window("02:00-02:30"), "2026-10-25T02:10:00+02:00", True, "2026-10-25T02:30:00+02:00",
     "a half hour that comes twice is open"),
    (window("02:00-02:30"), "2026-10-25T02:40:00+02:00", False, "2026-10-25T02:00:00+01:00", "and closed between"),
    (window("02:00-02:30"), "2026-10-25T02:10:00+01:00", True, "2026-10-25T02:30:00+01:00", "and open again"),
    (window("03:00-04:00"), "2026-10-25T02:30:00+02:00", False, "2026-10-25T03:00:00+01:00",
     "it opens after the second hour"),
    # Clocks that change at midnight, by half an hour, in the south, or never.
    (window("00:00-02:00", "Africa/Cairo"), "2026-04-23T23:00:00+02:00", False, "2026-04-24T01:00:00+03:00",
     "in Cairo the first hour of the day is skipped"),
    (window("02:00-03:00", "Australia/Lord_Howe"), "2026-10-04T01:00:00+10:30", False, "2026-10-04T02:30:00+11:00",
     "on Lord Howe half an hour is skipped"),
    (window("09:00-10:00", "Asia/Kathmandu"), "2026-11-25T00:00:00Z", False, "2026-11-25T03:15:00Z",
     "in Nepal it is a quarter to"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("one", "now", "is_open", "until"), [pytest.param(*case, id=story) for *case, story in CASES]
)
def test_a_window_is_open_as_the_clock_on_the_wall_says(
    one: ChangeWindow, now: str, is_open: bool, until: str | None
) -> None:
    assert opens([one], at(now)) == (is_open, None if until is None else at(until))


EARLY, NOON = window("04:00-08:00", UTC), window("12:00-13:00", UTC)
SEVERAL = [
    ([], [], "05:00", True, None, "without windows it is always open"),
    ([EARLY, NOON], [], "09:00", False, "12:00", "the next of two opens"),
    ([EARLY, window("06:00-10:00", UTC)], [], "05:00", True, "10:00", "two that overlap are one"),
    ([EARLY, window("08:00-10:00", UTC)], [], "05:00", True, "10:00", "two that touch are one"),
    ([window("00:00-12:00", UTC), window("12:00-00:00", UTC)], [], "05:00", True, None, "both halves are always"),
    ([], [NOON], "11:00", False, "12:00", "the pool's windows hold for an app that has none"),
    ([EARLY], [window("06:00-10:00", UTC)], "05:00", False, "06:00", "the app's alone is not enough"),
    ([EARLY], [window("06:00-10:00", UTC)], "07:00", True, "08:00", "where both are open, the first to close counts"),
    ([EARLY], [NOON], "05:00", False, None, "windows that never meet never open"),
    ([window("00:00-00:00", "Mars/Base")], [], "05:00", False, None, "an unknown zone has no time of day"),
    ([window("00:00-00:00", "Mars/Base"), NOON], [], "05:00", False, "12:00", "the others go on"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("app", "pool", "now", "is_open", "until"), [pytest.param(*case, id=story) for *case, story in SEVERAL]
)
def test_of_several_windows_one_must_be_open_of_the_app_and_one_of_its_pool(
    app: list[ChangeWindow], pool: list[ChangeWindow], now: str, is_open: bool, until: str | None
) -> None:
    day = "2026-11-25T{}:00Z"
    expected = None if until is None else at(day.format(until))
    assert opens(app, at(day.format(now)), pool) == (is_open, expected)


@pytest.mark.parametrize("zone", [BERLIN, "Africa/Cairo", "Australia/Lord_Howe", "America/New_York", UTC])
def test_around_the_changes_of_clocks_the_end_that_is_told_is_the_end(zone: str) -> None:
    """Against the plain definition, every half hour of two days."""
    one, there = window("23:30-02:30", zone, "Sat", "Sun", "Thu"), ZoneInfo(zone)
    for start in (
        at(f"2026-{day}T00:00:00Z") for day in ("03-07", "03-28", "04-04", "04-23", "10-03", "10-24")
    ):
        moments = [start + half_hour * 1800 for half_hour in range(2 * 24 * 9)]
        states = [_by_the_wall(datetime.fromtimestamp(moment, there)) for moment in moments]
        for n, moment in enumerate(moments[: 2 * 24 * 2]):
            change = next(m for m, state in zip(moments[n:], states[n:], strict=True) if state != states[n])
            assert opens([one], moment) == (states[n], change), datetime.fromtimestamp(moment, there)


def _by_the_wall(there: datetime) -> bool:
    """Whether 23:30-02:30 that opens on Saturday, Sunday and Thursday is open."""
    minute, weekday = there.hour * 60 + there.minute, there.weekday()
    return (minute >= 23 * 60 + 30 and weekday in (5, 6, 3)) or (minute < 150 and weekday in (6, 0, 4))


@pytest.mark.parametrize("name", ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT-5"])
def test_zones_of_the_iana_data_base_are_known(name: str) -> None:
    assert check_zone(name) is None


@pytest.mark.parametrize(
    ("name", "says"),
    [
        pytest.param("Europe/Berln", "did you mean Europe/Berlin?", id="a typing error"),
        pytest.param("Qqqqqq", "write its IANA name, such as Europe/Berlin or UTC", id="nothing like it"),
        pytest.param("Europe", "is not a known time zone", id="a continent alone"),
        pytest.param("../../etc/passwd", "is not a known time zone", id="a path"),
        pytest.param("", "is not a known time zone", id="nothing"),
    ],
)
def test_an_unknown_zone_is_named_with_what_would_be_right(name: str, says: str) -> None:
    problem = check_zone(name)
    assert problem is not None
    assert f'"{name}"' in problem
    assert says in problem
