"""Kinds of values that manifests hold, each with the rule that says what is right."""

import re
from collections.abc import Callable, Mapping
from typing import Annotated

from pydantic import Field
from pydantic.alias_generators import to_snake

from millpond.api.checks.rules import Keeps, Rule
from millpond.api.durations import NOT_A_DURATION, PATTERN, is_duration, microseconds
from millpond.api.names import MAX_EDITION_LENGTH
from millpond.clock import RFC3339, from_rfc3339

_LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
DNS_LABEL = rf"^{_LABEL}$"
DNS_NAME = rf"^{_LABEL}(\.{_LABEL})*$"
_TEXT = r"[A-Za-z0-9]([-._A-Za-z0-9]{0,61}[A-Za-z0-9])?"
_LABEL_TEXT = rf"^{_TEXT}$"
_LABEL_KEY = rf"^([a-z0-9]([-.a-z0-9]{{0,251}}[a-z0-9])?/)?{_TEXT}$"
_LABEL_VALUE = rf"^({_TEXT})?$"


def cel_string(pattern: str) -> str:
    return "'" + pattern.replace("\\", "\\\\") + "'"


def matching(pattern: str, says: str) -> Rule:
    """A string must match ``pattern``, written so that RE2 and Python agree on it."""
    found = re.compile(pattern)
    return Rule(
        cel=f"self.matches({cel_string(pattern)})",
        holds=lambda text: found.fullmatch(text) is not None,
        says=says,
    )


def keys_matching(pattern: str, says: str) -> Rule:
    """All keys of a map must match; ``{bad}`` in ``says`` is one that doesn't."""
    return _all_matching(pattern, says, "k", lambda entries: list(entries))


def values_matching(pattern: str, says: str) -> Rule:
    """All values of a map must match; ``{bad}`` in ``says`` is one that doesn't."""
    return _all_matching(pattern, says, "self[k]", lambda entries: list(entries.values()))


def _all_matching(pattern: str, says: str, cel: str, pick: Callable[[Mapping[str, str]], list[str]]) -> Rule:
    found = re.compile(pattern)
    matches = f"{cel}.matches({cel_string(pattern)})"

    def bad(entries: Mapping[str, str]) -> list[str]:
        return [text for text in pick(entries) if not found.fullmatch(text)]

    return Rule(
        cel=f"self.all(k, {matches})",
        holds=lambda entries: not bad(entries),
        says=says,
        where={"bad": (f"self.filter(k, !{matches}).map(k, {cel})[0]", lambda entries: bad(entries)[0])},
    )


def lasting(*, above: str = "", least: str = "", upto: str) -> Keeps:
    """A duration with above < value ≤ upto, or least ≤ value ≤ upto."""
    is_one = f"self.matches({cel_string(PATTERN)})"
    low, beyond, said = (above, ">", "more than") if above else (least, ">=", "at least")
    well_formed = Rule(cel=is_one, holds=is_duration, says=NOT_A_DURATION)
    in_range = Rule(
        cel=f"!{is_one} || duration(self) {beyond} duration('{low}') && duration(self) <= duration('{upto}')",
        holds=lambda text: not is_duration(text) or _within(text, above, least, upto),
        says=f"{{self}} is out of range: it must be {said} {low} and at most {upto}",
    )
    return Keeps(well_formed, in_range)


def _within(text: str, above: str, least: str, upto: str) -> bool:
    lasts = microseconds(text)
    high_enough = lasts > microseconds(above) if above else lasts >= microseconds(least)
    return high_enough and lasts <= microseconds(upto)


def not_longer(short: str, long: str, *, at: str, says: str) -> Rule:
    """Of two durations of an object (their names in manifests), the first, which may be absent, is the shorter."""
    both_are = " && ".join(f"self.{name}.matches({cel_string(PATTERN)})" for name in (short, long))

    def holds(value: object) -> bool:
        durations = [getattr(value, to_snake(name)) for name in (short, long)]
        return None in durations or microseconds(durations[0]) <= microseconds(durations[1])

    return Rule(
        cel=f"!has(self.{short}) || !has(self.{long}) || !({both_are}) "
        f"|| duration(self.{short}) <= duration(self.{long})",
        holds=holds,
        at=at,
        says=says,
    )


def is_date_time(text: str) -> bool:
    try:
        from_rfc3339(text)
    except ValueError:
        return False
    return True


DateTime = Annotated[
    str,
    Field(max_length=40),
    Keeps(
        Rule(
            # The pattern says what the operator reads, format.datetime() which months have 30 days.
            cel=f"self.matches({cel_string(RFC3339)}) && !format.datetime().validate(self).hasValue()",
            holds=is_date_time,
            says='"{self}" is not a date and time: write it as RFC 3339, such as 2030-01-31T18:00:00Z',
        )
    ),
]

Name = Annotated[
    str,
    Field(max_length=253),
    Keeps(
        matching(
            DNS_NAME,
            '"{self}" is not the name of an object: use lower-case letters, digits, "-" and ".", e.g. gold',
        )
    ),
]

Namespace = Annotated[
    str,
    Field(max_length=63),
    Keeps(
        matching(DNS_LABEL, '"{self}" is not the name of a namespace: use lower-case letters, digits and "-"')
    ),
]

EditionName = Annotated[
    str,
    Field(max_length=MAX_EDITION_LENGTH),
    Keeps(
        matching(
            _LABEL_TEXT,
            '"{self}" is not the name of an edition: use letters, digits, "-", "_" and ".", such as v1 or 1.2.3',
        )
    ),
]

Namespaces = Annotated[
    tuple[Namespace, ...],
    Field(max_length=256, json_schema_extra={"x-kubernetes-list-type": "set"}),
]

NodeLabels = Annotated[
    dict[str, Annotated[str, Field(max_length=63)]],
    Field(max_length=16),
    Keeps(
        keys_matching(_LABEL_KEY, '"{bad}" is not the key of a node label: write it like millpond.dev/pool'),
        values_matching(
            _LABEL_VALUE,
            '"{bad}" is not the value of a node label: use letters, digits, "-", "_" and "."',
        ),
    ),
]
