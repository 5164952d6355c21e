"""How answers look: tables as kubectl prints them, JSON and YAML for programs, colours only on a terminal."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import click
import yaml

NOTHING = "–"
_GAP = "   "


def colours() -> bool:
    """Asked of stdout itself: CI systems set variables that promise colours."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def say(text: str) -> None:
    click.echo(text if colours() else click.unstyle(text), color=True)


def document(value: Any, output: str) -> str:
    """``output``: json or yaml, either ends with a line break."""
    if output == "json":
        return json.dumps(value, ensure_ascii=False, indent=2) + "\n"
    return str(yaml.safe_dump(value, sort_keys=False, allow_unicode=True))


@dataclass(slots=True)
class Table:
    """Prints rows under a heading; rows that come later stand under the same columns."""

    heading: Sequence[str]
    indent: str = ""
    _widths: list[int] = field(default_factory=list)

    def lines(self, rows: Sequence[Sequence[str]]) -> list[str]:
        """The rows, before the first ones the heading. A cell may be coloured."""
        first = not self._widths
        shown = [[name.upper() for name in self.heading], *rows] if first else rows
        before = self._widths or [0] * len(self.heading)
        cells = [before, *([len(click.unstyle(cell)) for cell in row] for row in shown)]
        self._widths = [max(column) for column in zip(*cells, strict=True)]
        return [self._line(row) for row in shown]

    def _line(self, row: Sequence[str]) -> str:
        padded = (
            cell + " " * (width - len(click.unstyle(cell)))
            for cell, width in zip(row, self._widths, strict=True)
        )
        return (self.indent + _GAP.join(padded)).rstrip()


def age(seconds: float) -> str:
    """As kubectl says it: 45s, 5m30s, 150m, 7h20m, 30h, 3d4h, 200d."""
    whole = max(0, int(seconds))
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if whole < 120:
        return f"{whole}s"
    if minutes < 10:
        return _two(minutes, "m", whole % 60, "s")
    if hours < 3:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    return _two(days, "d", hours % 24, "h") if days < 8 else f"{days}d"


def _two(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large}{large_unit}" + (f"{small}{small_unit}" if small else "")


def cell(value: object) -> str:
    """What a table says of a value; of one that is absent, a dash."""
    return NOTHING if value is None or value == "" else str(value)


def labels(found: Mapping[str, Any] | None) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted((found or {}).items()))
