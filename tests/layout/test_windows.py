"""A window over which response times or rates are taken has a name: none is written as a number where it is used."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = ("operator/millpond/control", "operator/millpond/lead", "operator/millpond/cli", "policies")
TAKEN = {"response_ms": 2, "rate_rps": 1}
"""Functions that take a window: the place of the argument that says how long it is, in seconds."""


def called() -> Iterator[tuple[str, ast.expr]]:
    for path in (path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))):
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            place = TAKEN.get(node.func.attr)
            if place is not None and len(node.args) > place:
                yield f"{path.relative_to(ROOT)}:{node.lineno}", node.args[place]


def test_a_window_is_used_by_its_name() -> None:
    found = list(called())
    assert len(found) >= 4
    assert [where for where, window in found if not isinstance(window, ast.Name | ast.Attribute)] == []
