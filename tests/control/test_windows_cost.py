"""What change windows of tenants cost: they are looked at once until they open or close, and names are only names."""

import time
from collections.abc import Iterator
from unittest.mock import patch

import pytest

from millpond.api.kinds.windows import ChangeWindow
from millpond.control.resolve import rollouts, windows

from kube.builders import app

NOW = 1_700_000_000.0
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Tokyo")
MANY = tuple(
    ChangeWindow(start="00:00", end=f"00:{n:02}", time_zone=ZONES[n % 4], days=("Sat",)) for n in range(16)
)
NEVER_WITH_THEM = tuple(
    ChangeWindow(start="12:00", end=f"12:{n:02}", time_zone=ZONES[n % 4], days=("Tue",)) for n in range(16)
)


@pytest.fixture
def looks() -> Iterator[list[float]]:
    """The moments at which windows were really looked at."""
    found: list[float] = []
    look = windows._opens
    with patch.object(windows, "_opens", lambda groups, now_s: found.append(now_s) or look(groups, now_s)):
        windows._answers.clear()
        yield found


def test_windows_are_looked_at_once_until_they_open(looks: list[float]) -> None:
    for cycle in range(600):
        is_open, until_s = windows.opens(MANY, NOW + cycle)
        assert not is_open
    assert looks == [NOW]
    assert until_s is not None
    assert windows.opens(MANY, until_s)[0]
    assert looks == [NOW, until_s]


def test_windows_that_never_meet_are_looked_at_once_an_hour(looks: list[float]) -> None:
    for cycle in range(2 * 3600):
        assert windows.opens(MANY, NOW + cycle, NEVER_WITH_THEM) == (False, None)
    assert len(looks) == 2


def test_a_clock_that_goes_back_is_believed(looks: list[float]) -> None:
    night = (ChangeWindow(start="00:00", end="06:00"),)
    at_noon, at_two = NOW - NOW % 86_400 + 12 * 3600, NOW - NOW % 86_400 + 2 * 3600
    assert not windows.opens(night, at_noon)[0]
    assert windows.opens(night, at_two)[0]
    assert len(looks) == 2


def test_answers_are_kept_for_so_many_windows_and_no_more(looks: list[float]) -> None:
    with patch.object(windows, "_KEPT", 8):
        for n in range(59):
            windows.opens((ChangeWindow(start="00:00", end=f"01:{n:02}"),), NOW)
            assert len(windows._answers) <= 8


@pytest.mark.parametrize(
    "name",
    [
        *("../../etc/passwd", "/etc/localtime", "Europe/", ".", "", "tzdata.zoneinfo", "a\0b", "\ud800"),
        pytest.param("x" * 262_144, id="256 KiB"),
    ],
)
def test_names_that_the_data_base_does_not_list_are_never_looked_up(name: str) -> None:
    with patch.object(windows, "ZoneInfo", side_effect=AssertionError("looked up")):
        assert windows._zone(name) is None
        assert windows.check_zone(name) is not None


def test_of_many_unknown_zones_a_few_are_named() -> None:
    wrong = [{"start": "00:00", "end": "06:00", "timeZone": f"America/Q{n}"} for n in range(16)]
    assert len(rollouts.unknown_zones(app(changeWindows=wrong))) == 3


def test_a_thousand_apps_that_wait_cost_a_cycle_little() -> None:
    """Each with 16 windows and 16 of its pool; a hundred different ones."""
    apps = [
        tuple(w.model_copy(update={"start": f"{n % 20:02}:{n // 20:02}"}) for w in MANY) for n in range(100)
    ]
    for own in apps:
        windows.opens(own, NOW, NEVER_WITH_THEM)
    began_s = time.process_time()
    for own in apps * 10:
        windows.opens(own, NOW + 1, NEVER_WITH_THEM)
    assert time.process_time() - began_s < 1.0
