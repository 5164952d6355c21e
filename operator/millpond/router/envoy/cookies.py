"""Matching of requests by cookies, as bytes of Envoy's RouteMatch: the stubs are older than this field of Envoy's.

Values are compared whole, never by a regular expression: Envoy refuses one over more than a handful of values.
"""

from collections.abc import Iterable

_NAME, _STRING_MATCH, _INVERT = 1, 2, 3
_EXACT = 1
_COOKIES = 17


def cookie_is(name: str, value: str) -> bytes:
    """The request has this cookie, and it has this value."""
    return _field(_COOKIES, _named(name, value))


def cookie_is_none_of(name: str, values: Iterable[str]) -> bytes:
    """The request has no such cookie, or it has another value."""
    invert = _varint(_INVERT << 3) + _varint(1)
    return b"".join(_field(_COOKIES, _named(name, value) + invert) for value in values)


def _named(name: str, value: str) -> bytes:
    return _field(_NAME, name.encode()) + _field(_STRING_MATCH, _field(_EXACT, value.encode()))


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    low, rest = number & 0x7F, number >> 7
    return bytes((low | 0x80,)) + _varint(rest) if rest else bytes((low,))
