"""Bytes to objects, whatever they hold. What is nested too deep for anybody to read is cut out, not an error.

The API server takes objects of up to 10,000 levels (in a template's unknown fields, say); Python's readers end at about
1,000, and one object would take the whole LIST with it. Nothing that Kubernetes knows is half as deep as ``DEEPEST``.
"""

import re
from typing import Any

import msgspec

DEEPEST = 100  # levels of one object that are kept
TOO_DEEP = "(nested too deeply to be read)"  # stands where the rest was
_AROUND = 4  # levels that a LIST or a watch event puts around an object
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


def decoded(content: bytes) -> Any:
    """The JSON value; raises msgspec.DecodeError only where it is no JSON."""
    try:
        return msgspec.json.decode(content)
    except RecursionError:
        return msgspec.json.decode(cut(content, DEEPEST + _AROUND))


def cut(content: bytes, levels: int) -> bytes:
    """The same JSON text with everything below so many levels replaced."""
    kept, depth, since = [], 0, 0
    for found in _TOKEN.finditer(content):
        token = found[0]
        if token in b"[{":
            depth += 1
            if depth == levels + 1:
                kept += [content[since : found.start()], b'"', TOO_DEEP.encode(), b'"']
        elif token in b"]}":
            depth -= 1
            if depth == levels:
                since = found.end()
    return b"".join((*kept, content[since:]))


def shallow(value: Any, levels: int = DEEPEST) -> Any:
    """The same for a value that was read already: as it was, when it is not deeper than that."""
    return _cut(value, levels) if _deeper(value, levels) else value


def _deeper(value: Any, levels: int) -> bool:
    layer = [value]
    for _ in range(levels):
        layer = [inner for outer in layer for inner in _inside(outer)]
        if not layer:
            return False
    return True


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [v for v in value.values() if isinstance(v, (dict, list))]
    return [v for v in value if isinstance(v, (dict, list))] if isinstance(value, list) else []


def _cut(value: Any, levels: int) -> Any:
    if not isinstance(value, (dict, list)):
        return value
    if levels == 0:
        return TOO_DEEP
    if isinstance(value, dict):
        return {k: _cut(v, levels - 1) for k, v in value.items()}
    return [_cut(v, levels - 1) for v in value]
