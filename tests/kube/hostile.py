"""What tenants can write: any JSON anywhere, and texts that are known to break readers."""

import copy
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

Path = tuple[str | int, ...]
TEXTS = (
    "",
    "null",
    "NaN",
    "1e300",
    "-1e300",
    "[" * 100_000,
    '{"a":' * 5_000,
    "1" + "0" * 400,
    "\x00\ud7ff",
    "x" * 300_000,
    "9999-12-31T23:59:59-12:00",
    "0001-01-01T00:00:00+14:00",
    "disk=ssd",
)
_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([0, -1, 2**31, 2**63, 10**300, 1e300, -1e300, 0.0])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(TEXTS)
)


def nested(levels: int, of: Any = 1) -> Any:
    for _ in range(levels):
        of = {"a": of}
    return of


json_values = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
) | st.sampled_from([nested(300), [nested(90)], ["x"], [None], {"": None}])


def intents() -> st.SearchStrategy[str]:
    """Texts that look like an intent to retire a pod."""
    figure = st.sampled_from(
        ["1e300", "NaN", "Infinity", "-1", "null", '"x"', "[]", "1" + "0" * 400, "1767225600"]
    )
    return st.builds(
        '{{"uid": {}, "since": {}, "deadline": {}, "streamsDeadline": {}, "reason": {}}}'.format,
        st.sampled_from(['"pod-noisy-a"', '"pod-noisy-b"', "1", "null"]),
        figure,
        figure,
        figure,
        st.sampled_from(['"LoadFell"', "{}", "0"]),
    )


def decisions() -> st.SearchStrategy[str]:
    """Texts that look like a decision."""
    fields = {
        "at": '"2026-01-01T00:00:00Z"',
        "edition": '"v1"',
        "action": '"Grow"',
        "reason": '"Manual"',
        "servers": "1",
        "wanted": "2",
        "message": '"m"',
        "inputs": "{}",
    }
    value = st.sampled_from(["null", "1e300", "[]", "{}", '"x"', "NaN", '"\\ud800"'])

    def text(dropped: set[str], changed: dict[str, str]) -> str:
        kept = {k: changed.get(k, v) for k, v in fields.items() if k not in dropped}
        return "{" + ", ".join(f'"{k}": {v}' for k, v in kept.items()) + "}"

    names = st.sampled_from(sorted(fields))
    return st.builds(text, st.sets(names, max_size=2), st.dictionaries(names, value, max_size=2))


def paths(value: Any, at: Path = ()) -> Iterator[Path]:
    """Of every part of a value, and of one more entry of each object."""
    yield at
    if isinstance(value, dict):
        yield (*at, "other")
        for key, inner in value.items():
            yield from paths(inner, (*at, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from paths(inner, (*at, number))


def changed(value: Any, path: Path, to: Any) -> Any:
    """A copy with one part replaced."""
    if not path:
        return to
    made = copy.copy(value)
    made[path[0]] = changed(value[path[0]] if path[0] != "other" else None, path[1:], to)
    return made
