"""Specs with odd values in any field of any kind, as Hypothesis strategies made from the kinds' own schemas."""

import re
from collections.abc import Iterator
from copy import deepcopy
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

from millpond.api.schema import RESOURCES, structural

from api.good import GOOD
from api.manifests import Manifest

DATES = (
    "9999-12-31T23:59:59-12:00", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00", "0000-01-01T00:00:00Z",
    "2030-01-31t18:00:00z", "2030-01-31T18:00:00.123456789012Z", "2030-01-31T18:00:60Z", "2030-12-31T23:59:60Z",
    "2030-02-30T00:00:00Z", "2028-02-29T00:00:00Z", "2100-02-29T00:00:00Z", "2030-01-31T24:00:00Z",
    "2030-01-31T18:00:00x5Z", "2030-01-31T18:00:00,5Z", "2030-01-31 18:00:00Z", "2030-01-31T18:00Z",
    "2030-01-31T18:00:00", "2030-01-31T18:00:00+99:99", "2030-01-31T18:00:00+24:00", "2030-01-31T18:00:00-23:59",
    "2030-01-31T18:00:00+0100", "2030-01-31T18:00:00ZT", "2030-01-31T18:00:00Z\n", "2030-1-31T18:00:00Z", "2030-W05",
    "-2030-01-31T18:00:00Z", "٢٠٣٠-01-31T18:00:00Z", "+12030-01-31T00:00:00Z", "2030-00-10T00:00:00Z",
)  # fmt: skip
DURATIONS = (
    "0s", "0ms", "0.000s", "0.001ms", "0.0001s", "24h", "23h59m59.999s1ms", "23h59m60s", "59m59.9s100ms", "1h", "5m",
    "4m59.999s1ms", "4m60.001s", "1m1m1m1m1m", "999999h", "999999h999999h9s", "1d", "1h1", "-1s", "+1s", "1e3s",
    ".5s", "5.s", "1s\n", "٣s", "1µs", "1ns", "00001s", "0.1s0.2s", "1.5h", "86400s", "86400.001s", "10s", "9.999s",
)  # fmt: skip
TIMES = ("00:00", "24:00", "23:59", "7:00", "06:00\n", "06:60", "06:00:00", "٠٦:00")
ZONES = (
    "UTC",
    "Europe/Berlin",
    "Europe",
    "../etc/passwd",
    "Mars/Base",
    "a/b/c/d",
    "posixrules",
    "X" * 64,
    "Etc/GMT+5",
)
STRINGS = (
    "", " ", "x", "v1", "v1.2", "1.2.3", "V1", "a" * 30, "a" * 31, "f1" * 20, "a.",
    "a-", "-a", "a\n", "ä", "a_b", "😀", "\u0130", "\x7f",
    "/", "/a", "/a/", "//", "/a//b", "/%", "/{x}", "/a?b", "*", "*.x", "x.", "X.test", "1.2.3.4", "[::1]", "host:80",
    "x" * 63, "x" * 64, "x" * 253, "x" * 254, "host", "yes", "yes ", 'a"b', "a\\b", "{self}", "%s", "x-a", "x--a",
)  # fmt: skip
NUMBERS = (
    0,
    1,
    -1,
    7,
    8,
    99,
    100,
    101,
    1000,
    1001,
    65535,
    65536,
    2**31,
    2**53 + 1,
    2**63 - 1,
    1.0,
    1.5,
    1e3,
    1e18,
)
OTHERS: tuple[Any, ...] = (None, True, False, [], {}, [[]], ["x"], {"x": "y"}, [None], "true", "1")
NEVER: tuple[Any, ...] = (2**63, -(2**63) - 1, 1e300)  # no API server takes them

strings = st.sampled_from(DATES + DURATIONS + TIMES + ZONES + STRINGS) | st.text(max_size=20)
durations = st.from_regex(r"\A([0-9]{1,6}(\.[0-9]{1,3})?(ms|s|m|h)){1,3}\Z")
dates = st.from_regex(
    r"\A[0-9]{4}-[01][0-9]-[0-3][0-9][Tt][0-2][0-9]:[0-6][0-9]:[0-6][0-9](\.[0-9]{1,9})?"
    r"([Zz]|[+-][0-2][0-9]:[0-6][0-9])\Z"
)
numbers = st.sampled_from(NUMBERS + NEVER) | st.integers(-5, 2000)
odd = strings | numbers | st.sampled_from(OTHERS)

Path = tuple[str | int, ...]


def paths(schema: Manifest, at: Path = ()) -> Iterator[tuple[Path, Manifest]]:
    """All fields below; of a list its first item."""
    if at:
        yield at, schema
    for name, field in (schema.get("properties") or {}).items():
        yield from paths(field, (*at, name))
    if "items" in schema:
        yield from paths(schema["items"], (*at, 0))
    if isinstance(schema.get("additionalProperties"), dict):
        yield from paths(schema["additionalProperties"], (*at, "key"))


FIELDS = {resource.kind: list(paths(structural(resource.spec))) for resource in RESOURCES}
LEAVES = {
    kind: [(path, schema) for path, schema in found if schema.get("type") not in ("object", "array")]
    for kind, found in FIELDS.items()
}


def fitting(schema: Manifest) -> st.SearchStrategy[Any]:
    """Mostly of the right type: what is of another is refused by both without a look at it."""
    rules = str(schema.get("x-kubernetes-validations", ""))
    if "enum" in schema:
        return st.sampled_from(schema["enum"]) | odd
    if "datetime" in rules:
        return st.sampled_from(DATES) | dates
    if "duration(" in rules:
        return st.sampled_from(DURATIONS) | durations
    if schema.get("type") == "string":
        patterns = re.findall(r"matches\('((?:[^'\\]|\\.)*)'\)", rules)
        right = [st.from_regex(text.replace("\\\\", "\\"), fullmatch=True) for text in patterns[:1]]
        return st.one_of(*right, *right, strings)
    if schema.get("type") == "integer":
        return st.integers(schema.get("minimum", 0), schema.get("maximum", 10)) | numbers
    return st.booleans() | odd if schema.get("type") == "boolean" else odd


def put(spec: Any, path: Path, value: Any) -> None:
    """Makes the objects and lists on the way; leaves the spec as it is where something else stands in the way."""
    for here, following in pairwise(path):
        empty: Any = [] if isinstance(following, int) else {}
        spec = _entered(spec, here, empty)
        if spec is None:
            return
    if isinstance(spec, list) and not spec:
        spec.append(value)
    elif isinstance(spec, list if isinstance(path[-1], int) else dict):
        spec[path[-1]] = value


def _entered(spec: Any, here: str | int, empty: Any) -> Any:
    if isinstance(spec, list) and isinstance(here, int):
        if not spec:
            spec.append(empty)
        found = spec[0]
    elif isinstance(spec, dict):
        found = spec.setdefault(here, empty)
    else:
        return None
    return found if isinstance(found, dict | list) else None


@st.composite
def manifests(draw: st.DrawFn, kind: str) -> Manifest:
    """A good one with up to three odd values, now and then without a field."""
    found = deepcopy(draw(st.sampled_from([good for _, good in GOOD if good["kind"] == kind])))
    for _ in range(draw(st.sampled_from((1, 1, 1, 2, 3)))):
        path, schema = draw(st.sampled_from(LEAVES[kind] if draw(st.integers(0, 3)) else FIELDS[kind]))
        put(found["spec"], path, deepcopy(draw(fitting(schema))))
    if draw(st.integers(0, 9)) == 0:
        found["spec"].pop(draw(st.sampled_from(sorted(found["spec"]))))
    return found
