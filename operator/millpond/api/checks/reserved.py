"""Names that Millpond and its routers use themselves, which no app may choose for something of its own."""

from collections.abc import Mapping

from millpond.api.checks.rules import Rule
from millpond.api.names import GROUP

COOKIES = "millpond-"
EDITION_HEADER = "x-millpond-edition"  # an edition's name in it is what it is for
# Routers read these, change or drop them before they compare anything, or have a cookie's own rules.
_HEADERS = (
    "connection",
    "content-length",
    "cookie",
    "expect",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
)
_PREFIXES = ("x-envoy-", "x-millpond-")
_DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"


def _is_free(header: str) -> bool:
    return header == EDITION_HEADER or not (header in _HEADERS or header.startswith(_PREFIXES))


FREE_HEADER = Rule(
    cel=f"self == '{EDITION_HEADER}' || !(self in [{', '.join(repr(h) for h in _HEADERS)}]"
    + "".join(f" || self.startsWith('{prefix}')" for prefix in _PREFIXES)
    + ")",
    holds=_is_free,
    says='"{self}" is a header that routers use themselves: choose another one, such as x-canary',
)

FREE_COOKIE = Rule(
    cel=f"!self.startsWith('{COOKIES}')",
    holds=lambda cookie: not cookie.startswith(COOKIES),
    says=f'"{{self}}" is a cookie of the routers, as all that begin with "{COOKIES}": choose another name, such as '
    "SESSION",
)


def _reserved(entries: Mapping[str, str]) -> list[str]:
    return [key for key in entries if _is_reserved(key)]


def _is_reserved(key: str) -> bool:
    return key.startswith(f"{GROUP}/") or f".{GROUP}/" in key or key == _DELETION_COST


_CEL_RESERVED = f"k.startsWith('{GROUP}/') || k.contains('.{GROUP}/') || k == '{_DELETION_COST}'"

FREE_KEYS = Rule(
    cel=f"self.all(k, !({_CEL_RESERVED}))",
    holds=lambda entries: not _reserved(entries),
    says=f'"{{bad}}" is for Millpond to set on pods: remove it, or use a prefix other than {GROUP}/',
    where={"bad": (f"self.filter(k, {_CEL_RESERVED})[0]", lambda entries: _reserved(entries)[0])},
)
