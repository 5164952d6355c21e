"""Values as JSON and back, by their type hints: nothing is lost, nothing unknown is passed over.

Dataclasses become objects without the fields that have their default, NamedTuples and tuples become arrays, numbers
that JSON does not have become ``{"float": "inf"}``. A union of dataclasses says in ``type`` which one it is.
"""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from functools import cache
from math import isfinite
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

Write = Callable[[Any], Any]
Read = Callable[[Any], Any]
_ODD = {"inf": float("inf"), "-inf": float("-inf"), "nan": float("nan")}


class Unreadable(ValueError):
    """What was read is not what was written; ``path`` says where, such as snapshot.apps[3].goal."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why
        self.path = ""

    def inside(self, part: str) -> "Unreadable":
        dot = "." if self.path and not self.path.startswith("[") else ""
        self.path = f"{part}{dot}{self.path}"
        return self

    def __str__(self) -> str:
        return f"{self.path}: {self.why}" if self.path else self.why


@cache
def writer(hint: Any) -> Write:
    """What turns a value of this type into JSON."""
    origin, args = get_origin(hint), get_args(hint)
    if hint is float or _number(hint):
        return _write_number
    if hint in (int, str, bool, NoneType):
        return _as_it_is
    if origin in (Union, UnionType):
        return _union_writer(args)
    if origin is tuple:
        return _tuple_writer(args)
    if origin is frozenset:
        return sorted
    if origin is Mapping:
        return dict
    if isinstance(hint, type) and issubclass(hint, Enum):
        return lambda value: value.value
    if isinstance(hint, type) and issubclass(hint, tuple):
        return _tuple_writer(tuple(get_type_hints(hint).values()))
    return _object_writer(hint)


@cache
def reader(hint: Any) -> Read:
    """The reverse of `writer`: raises Unreadable for everything else."""
    origin, args = get_origin(hint), get_args(hint)
    if hint in _SCALARS:
        return _scalar_reader(*_SCALARS[hint])
    if origin in (Union, UnionType):
        return _union_reader(args)
    if origin is tuple:
        return _tuple_reader(args, tuple)
    if origin is frozenset:
        return _collection(_tuple_reader((*args, ...), tuple), frozenset)
    if origin is Mapping:
        return _mapping_reader(reader(args[1]))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _enum_reader(hint)
    if isinstance(hint, type) and issubclass(hint, tuple):
        return _tuple_reader(tuple(get_type_hints(hint).values()), lambda found: hint(*found))
    return _object_reader(hint)


def _as_it_is(value: Any) -> Any:
    return value


def _write_number(value: Any) -> Any:
    return {"float": str(value)} if isinstance(value, float) and not isfinite(value) else value


def _number(hint: Any) -> bool:
    """Whether it is a union of scalars only, one of them float."""
    args = get_args(hint)
    return get_origin(hint) in (Union, UnionType) and float in args and set(args) <= {*_SCALARS, NoneType}


def _union_writer(args: tuple[Any, ...]) -> Write:
    members = [a for a in args if a is not NoneType]
    if len(members) == 1:
        write = writer(members[0])
        return lambda value: None if value is None else write(value)
    by_type = {a: _tagged(a.__name__, writer(a)) for a in members}
    return lambda value: None if value is None else by_type[type(value)](value)


def _tagged(name: str, write: Write) -> Write:
    return lambda value: {"type": name, **write(value)}


def _tuple_writer(args: tuple[Any, ...]) -> Write:
    if len(args) == 2 and args[1] is ...:
        write = writer(args[0])
        return lambda value: value if write is _as_it_is else [write(v) for v in value]
    writes = [writer(a) for a in args]
    return lambda value: [w(v) for w, v in zip(writes, value, strict=True)]


def _object_writer(cls: Any) -> Write:
    hints = get_type_hints(cls)
    parts = [(f.name, writer(hints[f.name]), _default(f, writer(hints[f.name]))) for f in fields(cls)]

    def write(value: Any) -> dict[str, Any]:
        found = ((name, write(getattr(value, name)), default) for name, write, default in parts)
        return {name: w for name, w, default in found if w != default or type(w) is not type(default)}

    return write


def _default(field: "Field[Any]", write: Write) -> Any:
    if field.default is not MISSING:
        return write(field.default)
    return write(field.default_factory()) if field.default_factory is not MISSING else MISSING


_SCALARS: dict[Any, tuple[tuple[type, ...], str]] = {
    float: ((int, float), "a number"),
    int: ((int,), "a whole number"),
    str: ((str,), "a text"),
    bool: ((bool,), "true or false"),
}


def _scalar_reader(types: tuple[type, ...], name: str) -> Read:
    def read(raw: Any) -> Any:
        if type(raw) in types:
            return raw
        if float in types and isinstance(raw, dict):
            for text, odd in _ODD.items():
                if raw == {"float": text}:
                    return odd
        raise Unreadable(f"{name} is wanted, not {_short(raw)}")

    return read


def _union_reader(args: tuple[Any, ...]) -> Read:
    members = [a for a in args if a is not NoneType]
    nothing = NoneType in args
    if len(members) == 1:
        read = reader(members[0])
    elif all(map(is_dataclass, members)):
        read = _tagged_reader({a.__name__: reader(a) for a in members})
    else:
        types = tuple({t for a in members for t in _SCALARS[a][0]})
        read = _scalar_reader(types, " or ".join(_SCALARS[a][1] for a in members))
    return lambda raw: None if raw is None and nothing else read(raw)


def _tagged_reader(by_name: Mapping[str, Read]) -> Read:
    def read(raw: Any) -> Any:
        kind = raw.get("type") if isinstance(raw, dict) else None
        found = by_name.get(kind) if isinstance(kind, str) else None
        if found is None:
            raise Unreadable(f"an object of a type among {', '.join(by_name)} is wanted, not {_short(raw)}")
        return found({k: v for k, v in raw.items() if k != "type"})

    return read


def _tuple_reader(args: tuple[Any, ...], make: Callable[[Any], Any]) -> Read:
    endless = len(args) == 2 and args[1] is ...
    one = reader(args[0]) if args else None
    each = [] if endless else [reader(a) for a in args]

    def read(raw: Any) -> Any:
        if not isinstance(raw, list) or not (endless or len(raw) == len(each)):
            raise Unreadable(f"an array{'' if endless else f' of {len(each)}'} is wanted, not {_short(raw)}")
        found: list[Any] = []
        try:
            if endless and one is not None:
                for value in raw:
                    found.append(one(value))
            else:
                for of, value in zip(each, raw, strict=True):
                    found.append(of(value))
        except Unreadable as error:
            raise error.inside(f"[{len(found)}]") from None
        return make(found)

    return read


def _collection(read: Read, make: Callable[[Any], Any]) -> Read:
    return lambda raw: make(read(raw))


def _mapping_reader(read: Read) -> Read:
    def read_all(raw: Any) -> dict[str, Any]:
        return {name: _part(name, read, value) for name, value in _object(raw).items()}

    return read_all


def _enum_reader(cls: type[Enum]) -> Read:
    known = {member.value: member for member in cls}

    def read(raw: Any) -> Enum:
        if not isinstance(raw, str) or raw not in known:
            raise Unreadable(f"one of {', '.join(map(str, known))} is wanted, not {_short(raw)}")
        return known[raw]

    return read


def _object_reader(cls: Any) -> Read:
    hints = get_type_hints(cls)
    reads = {f.name: reader(hints[f.name]) for f in fields(cls)}
    needed = [f.name for f in fields(cls) if f.default is MISSING and f.default_factory is MISSING]

    def read(raw: Any) -> Any:
        for name in _object(raw):
            if name not in reads:
                raise Unreadable(f"{cls.__name__} has no such field").inside(name)
        for name in needed:
            if name not in raw:
                raise Unreadable(f"{cls.__name__} has no value for it").inside(name)
        return cls(**{name: _part(name, reads[name], value) for name, value in raw.items()})

    return read


def _object(raw: Any) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise Unreadable(f"an object is wanted, not {_short(raw)}")
    return raw


def _part(name: str, read: Read, raw: Any) -> Any:
    try:
        return read(raw)
    except Unreadable as error:
        raise error.inside(name) from None


def _short(raw: Any) -> str:
    text = repr(raw) if not isinstance(raw, dict | list) else type(raw).__name__
    return text if len(text) <= 40 else f"{text[:40]}…"
