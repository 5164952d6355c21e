"""The tables of the chart's README, made of values.yaml with its schema and of the table of permissions.

`make docs` writes them between their markers.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from millpond import paths

from api import permissions
from api.permissions import Resource

_READ_ONLY = permissions.READ
_KEY = re.compile(r"^( *)([A-Za-z0-9]+):")


@dataclass(frozen=True)
class Value:
    path: str
    default: Any
    comment: str
    kind: str
    """Its type as the schema has it, such as `one of Always, Never`."""


def values(chart: Path) -> list[Value]:
    """What values.yaml has and says, in its order. Raises ValueError about one without comment or schema."""
    text = (chart / "values.yaml").read_text()
    given, schema = yaml.safe_load(text), json.loads((chart / "values.schema.json").read_text())
    comments = _comments(text)
    return [
        Value(path, default, comments[path], _kind(_part(schema, path)))
        for path, default in _leaves(given, comments, ())
    ]


def _leaves(
    given: dict[str, Any], comments: dict[str, str], above: tuple[str, ...]
) -> Iterator[tuple[str, Any]]:
    """A value is what has a comment; all below it belongs to it."""
    for name, default in given.items():
        path = ".".join((*above, name))
        if path in comments:
            yield path, default
        elif isinstance(default, dict) and default:
            yield from _leaves(default, comments, (*above, name))
        else:
            raise ValueError(f"{path} in values.yaml has no comment that begins with `# --`")


def _comments(text: str) -> dict[str, str]:
    """Path -> the `# --` comment above it."""
    found: dict[str, str] = {}
    above: list[str] = []
    said: str | None = None
    for line in text.splitlines():
        if (comment := line.strip()).startswith("# -- "):
            said = comment.removeprefix("# -- ")
        elif said is not None and comment.startswith("# "):
            said += " " + comment.removeprefix("# ")
        elif key := _KEY.match(line):
            above = [*above[: len(key[1]) // 2], key[2]]
            if said is not None:
                found[".".join(above)] = said
            said = None
    return found


def _part(schema: dict[str, Any], path: str) -> dict[str, Any]:
    """What the schema says about a value. Raises ValueError when that is nothing."""
    part = schema
    for name in path.split("."):
        part = _resolved(schema, part)
        if name not in part.get("properties", {}):
            raise ValueError(f"{path} is not in values.schema.json")
        part = part["properties"][name]
    return _resolved(schema, part)


def _resolved(schema: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    reference = part.get("$ref")
    if reference is None:
        return part
    found: Any = schema
    for name in reference.removeprefix("#/").split("/"):
        found = found[name]
    return {**found, **part}


def _kind(part: dict[str, Any]) -> str:
    if "enum" in part:
        return "one of " + ", ".join(map(str, part["enum"]))
    if "type" not in part:
        raise ValueError(f"values.schema.json has no type in {part}")
    bounds = [part[name] for name in ("minimum", "maximum") if name in part]
    if len(bounds) == 2:
        return f"{part['type']}, {bounds[0]}–{bounds[1]}"
    return f"{part['type']}, at least {bounds[0]}" if "minimum" in part else str(part["type"])


def values_table(chart: Path) -> str:
    rows = [
        f"| `{value.path}` | {_escaped(value.kind)} | {_shown(value.default)} | {_escaped(value.comment)} |"
        for value in values(chart)
    ]
    return "\n".join(["| value | type | default | what it is |", "|---|---|---|---|", *rows])


def _shown(default: Any) -> str:
    return f"`{json.dumps(default, ensure_ascii=False)}`"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


def permissions_table() -> str:
    """A row per place and resource, a column per person."""
    titles = list(permissions.WHO.values())
    rows = [f"| | {' | '.join(titles)} |", f"|---|{'---|' * len(titles)}"]
    asked = permissions.asked()
    for place, where in permissions.PLACES.items():
        for resource in sorted({r for _, at, r, _ in asked if at == place}, key=_order):
            cells = [_cell(who, place, resource) for who in permissions.WHO]
            rows.append(f"| {resource.title} {where} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _order(resource: Resource) -> tuple[bool, bool, str, str]:
    ours = bool(resource.group)
    return not ours, not resource.namespaced, resource.title, resource.name


def _cell(who: str, place: str, resource: Resource) -> str:
    verbs = {v for w, at, r, v in permissions.TABLE if (w, at, r) == (who, place, resource)}
    if not verbs:
        return "–"
    words = []
    if verbs >= permissions.ALL:
        words, verbs = ["everything"], verbs - permissions.ALL
    elif verbs >= _READ_ONLY:
        words, verbs = ["read"], verbs - _READ_ONLY
    return ", ".join([*words, *sorted(verbs)])


def updated(readme: str, tables: dict[str, str]) -> str:
    """The text with each table between `<!-- name -->` and `<!-- /name -->`. Raises ValueError without those."""
    for name, table in tables.items():
        begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        if begin not in readme or end not in readme:
            raise ValueError(f"README.md has no {begin} … {end}")
        before, _, rest = readme.partition(begin)
        readme = f"{before}{begin}\n{table}\n{end}{rest.partition(end)[2]}"
    return readme


def fresh(chart: Path) -> str:
    """README.md as it should be."""
    tables = {"values": values_table(chart), "permissions": permissions_table()}
    return updated((chart / "README.md").read_text(), tables)


if __name__ == "__main__":
    (paths.chart() / "README.md").write_text(fresh(paths.chart()))
