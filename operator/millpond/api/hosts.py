"""Host names as they are compared: one spelling each, and patterns that cover many. Total functions.

The spelling: lower case, ASCII (punycode for all else), no port, no dot at the end. `*.x` stands for all names below x,
at any depth, but not for x; `*` for every host. As in the Gateway API.
"""

import re
from collections.abc import Iterable, Iterator

_LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
HOST = rf"^(\*|(\*\.)?{_LABEL}(\.{_LABEL})*)$"
NAME = rf"^{_LABEL}(\.{_LABEL})*$"
MAX_HOST = 253
_HOST, _NAME = re.compile(HOST), re.compile(NAME)
_PORT = re.compile(r":[0-9]{1,5}$")


def is_host(text: str) -> bool:
    """Whether this is a host or a pattern of hosts, in the one spelling."""
    return len(text) <= MAX_HOST and _HOST.fullmatch(text) is not None


def spelling(text: str) -> str | None:
    """How a host is to be written; None for what is none.

    >>> spelling("Shop.Example.:8080"), spelling("Bücher.example"), spelling("a..b")
    ('shop.example', 'xn--bcher-kva.example', None)
    """
    if len(text) > 2 * MAX_HOST:
        return None
    found = _ascii(_PORT.sub("", text.strip()).removesuffix(".").lower())
    return found if found is not None and is_host(found) else None


def _ascii(text: str) -> str | None:
    if text.isascii():
        return text
    star = "*." if text.startswith("*.") else ""
    try:
        return star + text.removeprefix(star).encode("idna").decode().lower()
    except UnicodeError:
        return None


def is_wildcard(host: str) -> bool:
    return host.startswith("*")


def covering(host: str) -> Iterator[str]:
    """All patterns that cover what ``host`` stands for, the most exact first.

    >>> list(covering("a.b.x"))
    ['a.b.x', '*.b.x', '*.x', '*']
    """
    yield host
    labels = host.removeprefix("*.").split(".")
    yield from ("*." + ".".join(labels[n:]) for n in range(1, len(labels)))
    if host != "*":
        yield "*"


def covers(pattern: str, host: str) -> bool:
    """Whether all hosts that ``host`` stands for are among those of ``pattern``.

    >>> covers("*.x", "a.b.x"), covers("*.x", "x"), covers("*.x", "*.a.x"), covers("a.x", "*.x"), covers("*", "*.x")
    (True, False, True, False, True)
    """
    return pattern in covering(host)


def patterns(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Of a list with commas: the patterns in their one spelling, and what are none.

    >>> patterns("Shop.example, *.test,, a b")
    (('shop.example', '*.test'), ('a b',))
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    found = [(part, spelling(part)) for part in parts]
    good = dict.fromkeys(right for _, right in found if right is not None)
    return tuple(good), tuple(part for part, right in found if right is None)


def listed(found: Iterable[str], most: int = 10) -> str:
    """For messages: "a, b and 7 more"; "none"."""
    names = list(found)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more or "none"
