"""PromQL text from parts. Only values of labels come from outside, and they stay values."""

import re
from collections.abc import Iterable, Mapping

from millpond.prom.errors import PromRejected

LONGEST_VALUE = 512
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def quoted(value: str) -> str:
    r"""A PromQL string literal that means exactly ``value``.

    >>> print(quoted('a"} or vector(0) #'))
    "a\"} or vector(0) #"
    """
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'"{escaped}"'


def equal(label: str, value: str) -> str:
    """``label="value"``; raises PromRejected unless both can be told to Prometheus."""
    if not _LABEL.fullmatch(label) or label.startswith("__"):
        raise PromRejected(
            f"label name {label!r} is refused: letters, digits and _, not starting with a digit or __"
        )
    if len(value) > LONGEST_VALUE:
        raise PromRejected(
            f"value of label {label} has {len(value)} characters, at most {LONGEST_VALUE} are allowed"
        )
    if "\0" in value or any("\ud800" <= c <= "\udfff" for c in value):
        raise PromRejected(f"value of label {label} is not valid text (NUL or a lone surrogate)")
    return f"{label}={quoted(value)}"


def selector(metric: str, *matchers: str) -> str:
    return f"{metric}{{{','.join(m for m in matchers if m)}}}"


def matchers(labels: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(equal(label, labels[label]) for label in sorted(labels))


def checked_namespace(namespace: str) -> str:
    if not _NAMESPACE.fullmatch(namespace):
        raise PromRejected(f"namespace {namespace!r} is not a DNS label")
    return namespace


def one_of_namespaces(namespaces: Iterable[str]) -> str:
    """``namespace=~"a|b"``: names are DNS labels, so they are their own regular expressions."""
    return f'namespace=~"{"|".join(sorted({checked_namespace(n) for n in namespaces}))}"'


def part(name: str, expression: str) -> str:
    """The expression's series, marked ``part="name"``: several questions, one moment, one round trip."""
    return f'label_replace({expression},"part","{name}","","")'


def parts(**expressions: str) -> str:
    return " or ".join(part(name, expression) for name, expression in expressions.items())


def seconds(window_s: float) -> str:
    """30.0 -> 30000ms"""
    return f"{max(1, round(window_s * 1000))}ms"
