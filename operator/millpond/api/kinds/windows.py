"""Change windows: the times of day in which a rollout may start."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from millpond.api.checks.fields import matching
from millpond.api.checks.model import Model
from millpond.api.checks.rules import Keeps, Rule


class Day(StrEnum):
    MON = "Mon"
    TUE = "Tue"
    WED = "Wed"
    THU = "Thu"
    FRI = "Fri"
    SAT = "Sat"
    SUN = "Sun"


# The API server refuses repeated days by itself, because the list is a set.
_DISTINCT = Rule(
    cel="",
    holds=lambda days: len(set(days)) == len(days),
    says="{days} names a day more than once: name each day once",
    where={"days": ("", ", ".join)},
)

Days = Annotated[
    tuple[Day, ...],
    Field(min_length=1, max_length=7, json_schema_extra={"x-kubernetes-list-type": "set"}),
    Keeps(_DISTINCT),
]

TimeOfDay = Annotated[
    str,
    Field(max_length=5),
    Keeps(
        matching(
            r"^([01][0-9]|2[0-3]):[0-5][0-9]$",
            '"{self}" is not a time of day: write hours from 00 to 23 and minutes, such as 06:00',
        )
    ),
]

# Whether the zone exists is not for a pattern to say: the operator looks it up (millpond.control.resolve.windows).
TimeZone = Annotated[
    str,
    Field(max_length=64),
    Keeps(
        matching(
            r"^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9][A-Za-z0-9_+-]*){0,2}$",
            '"{self}" is not the name of a time zone: write it as the IANA data base does, such as Europe/Berlin '
            "or UTC",
        )
    ),
]


class ChangeWindow(Model):
    """From a time of day to another, on some days or on all."""

    start: TimeOfDay
    """When the window opens, such as 00:00."""
    end: TimeOfDay
    """When it closes, such as 06:00. Not later than `start`: on the next day."""
    time_zone: TimeZone = "UTC"
    """The time zone of both, by its IANA name, such as Europe/Berlin."""
    days: Days | None = None
    """The days on which it opens: Mon, Tue, Wed, Thu, Fri, Sat, Sun; absent: every day."""


ChangeWindows = Annotated[tuple[ChangeWindow, ...], Field(min_length=1, max_length=16)]
