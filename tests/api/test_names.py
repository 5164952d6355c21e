"""Names of objects are derived from an edition's: short, legal everywhere, and never the same for two editions."""

import re

from hypothesis import given
from hypothesis import strategies as st

from millpond.api.names import edition_object

NAMES = st.from_regex(r"[A-Za-z0-9]([-._A-Za-z0-9]{0,61}[A-Za-z0-9])?", fullmatch=True)
OBJECT = re.compile(r"shop-[a-z0-9]([-a-z0-9]*[a-z0-9])?")


def test_a_short_name_stands_in_the_objects_name_as_it_is() -> None:
    assert edition_object("shop", "v1") == "shop-v1"
    assert edition_object("shop", "v" * 30) == "shop-" + "v" * 30


def test_of_a_commit_its_beginning_is_seen() -> None:
    commit = "3f2a1b9c8d7e6f5a4b3c2d1e0f9a8b7c6d5e4f3a"
    assert re.fullmatch(r"shop-3f2a1b9c8d7e-[0-9a-f]{8}", edition_object("shop", commit))


def test_editions_that_differ_in_a_dot_or_a_capital_have_objects_of_different_names() -> None:
    names = ("1.2.3", "1-2-3", "1_2.3", "rc1", "RC1", "Rc1")
    assert len({edition_object("shop", name) for name in names}) == len(names)


@given(NAMES)
def test_whatever_an_edition_is_called_its_objects_name_begins_that_of_a_pod(name: str) -> None:
    found = edition_object("shop", name)
    assert OBJECT.fullmatch(found)
    assert len(found) <= len("shop-") + 30
