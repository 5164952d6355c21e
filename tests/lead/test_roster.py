"""What an operator notes of its routers for a successor, and what that one makes of whatever it finds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millpond.lead.roster import Roster, load, roster

NAMES = st.text(max_size=20)


@given(routers=st.lists(st.tuples(NAMES, NAMES, NAMES), unique=True, max_size=20), final=st.booleans())
def test_what_was_noted_is_read(routers: list[tuple[str, str, str]], final: bool) -> None:
    found = load(roster(routers, final=final).dump())
    assert set(found.routers) == set(routers)
    assert found.final is final


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(None, id="nothing, by an older operator"),
        pytest.param("", id="an empty text"),
        pytest.param("{", id="no JSON"),
        pytest.param("[" * 100_000, id="lists in lists"),
        pytest.param("null", id="null"),
        pytest.param("7", id="a number"),
        pytest.param('{"final": true, "routers": 7}', id="a number of routers"),
        pytest.param('{"final": true, "routers": ["r1"]}', id="names alone"),
        pytest.param('{"final": true, "routers": [["r1", 8001, ""]]}', id="a port alone"),
        pytest.param('{"final": true, "routers": [[["r1"], "a:1", ""]]}', id="a list as name"),
    ],
)
def test_of_a_strange_note_nobody_is_known_and_there_may_be_others(text: str | None) -> None:
    assert load(text) == Roster()


@given(st.text(max_size=200))
def test_any_text_is_read(text: str) -> None:
    load(text)


def test_a_note_is_never_too_large_and_says_when_some_are_missing() -> None:
    text = roster(((f"router-{n}", f"10.0.0.1:{n}", "0" * 36) for n in range(5000)), final=True).dump()
    assert len(text) < 250_000
    assert not load(text).final
