import pytest
from hypothesis import given
from hypothesis import strategies as st

from millpond.api.durations import MAX_LENGTH, is_duration, seconds


@pytest.mark.parametrize(
    ("text", "expected_s"),
    [("300ms", 0.3), ("30s", 30), ("1m30s", 90), ("1.5h", 5400), ("0.001s", 0.001), ("1h1m1s1ms", 3661.001)],
)
def test_durations_are_sums_of_numbers_with_units(text: str, expected_s: float) -> None:
    assert seconds(text) == pytest.approx(expected_s)


@pytest.mark.parametrize(
    "text",
    ["", "5", "s", "5 s", "5S", "-5s", "+5s", "5d", "300msec", "1e3s", ".5s", "5.s", "5s\n", "1234567s", "1s" * 9],
)  # fmt: skip
def test_anything_else_is_refused_with_an_example_of_what_is_right(text: str) -> None:
    assert not is_duration(text)
    with pytest.raises(ValueError, match=r"is not a duration: .* such as 300ms"):
        seconds(text)


@given(st.text(alphabet="0123456789.mshd -", max_size=MAX_LENGTH + 2))
def test_what_is_a_duration_has_a_length_and_what_is_not_has_none(text: str) -> None:
    if is_duration(text):
        assert 0 <= seconds(text) < 292 * 365 * 86400  # what Go's duration, and so CEL's, can hold
    else:
        with pytest.raises(ValueError, match="is not a duration"):
            seconds(text)
