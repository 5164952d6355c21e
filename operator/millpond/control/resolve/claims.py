"""Who has which host and path: pure, total, and the same in whatever order the apps come.

A claim belongs to the app that was granted it, which its status records, and that still asks for it. What nobody holds
goes to whoever is the older, then to the smaller key. On a host that several apps share no two have the same affinity
cookie: the cookie is part of the claim, so that an app that changes it claims anew.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from millpond.api.hosts import is_host
from millpond.clock import from_rfc3339, rfc3339
from millpond.kube.raw import fields, text

MOST = 32  # more than an app can ask for
NEVER_S = 253_402_300_799.0  # the end of the year 9999: a record whose time cannot be read is the youngest


@dataclass(frozen=True, slots=True, order=True)
class Claim:
    """A host, or pattern of hosts, and the path prefix on it."""

    host: str
    prefix: str = "/"

    def __str__(self) -> str:
        return self.host + (self.prefix if self.prefix != "/" else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """That a claim was granted: since when (epoch seconds), and with which affinity cookie.

    ``shared_since_s``: when another app was first seen on that host; None: it was always alone there.
    """

    since_s: float
    cookie: str | None = None
    shared_since_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimant:
    """One app: what it may have and asks for, and what it was granted before. ``able``: it could run."""

    key: str
    created_s: float
    asks: tuple[Claim, ...]
    records: Mapping[Claim, Granted] = field(default_factory=dict)
    cookie: str | None = None
    able: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Whose the claims are, whose the affinity cookies by host, and on which hosts there are several apps."""

    claims: Mapping[Claim, str] = field(default_factory=dict)
    cookies: Mapping[tuple[str, str], str] = field(default_factory=dict)
    crowded: frozenset[str] = frozenset()


def allocate(claimants: Iterable[Claimant]) -> Held:
    """Each claim to one app. Who holds one and goes on asking for it keeps it, whatever others do."""
    claims: dict[Claim, str] = {}
    cookies: dict[tuple[str, str], str] = {}
    wishes = (
        (_rank(c, claim), c.key, claim, c.cookie) for c in claimants for claim in c.asks if _may(c, claim)
    )
    for _, key, claim, cookie in sorted(wishes, key=lambda wish: wish[:3]):
        if claim in claims:
            continue
        if cookie is not None and cookies.setdefault((claim.host, cookie), key) != key:
            continue
        claims[claim] = key
    users = {(claim.host, key) for claim, key in claims.items()}
    crowded = frozenset(host for host, count in Counter(host for host, _ in users).items() if count > 1)
    return Held(claims=claims, cookies=cookies, crowded=crowded)


def _may(claimant: Claimant, claim: Claim) -> bool:
    """An app that cannot run keeps what it has, and gets nothing."""
    return claimant.able or claim in claimant.records


def _rank(claimant: Claimant, claim: Claim) -> tuple[int, float, float]:
    """Holders first; of them last those with another cookie, which somebody else on the host may have."""
    record = claimant.records.get(claim)
    if record is None:
        return (2, claimant.created_s, 0.0)
    return (int(record.cookie != claimant.cookie), record.since_s, claimant.created_s)


def recorded(status: Any) -> dict[Claim, Granted]:
    """What a status says was granted; nothing where it cannot be read."""
    entries = fields(status).get("claims")
    if not isinstance(entries, list | tuple):
        return {}
    return dict(found for found in map(_entry, entries[:MOST]) if found is not None)


def _entry(raw: Any) -> tuple[Claim, Granted] | None:
    if not isinstance(raw, Mapping):
        return None
    host, prefix, cookie = raw.get("host"), raw.get("pathPrefix"), raw.get("cookie")
    if not (isinstance(host, str) and is_host(host) and isinstance(prefix, str) and prefix.startswith("/")):
        return None
    since, shared = raw.get("since"), raw.get("sharedSince")
    return Claim(host, prefix), Granted(
        since_s=seconds(since),
        cookie=text(cookie),
        shared_since_s=seconds(shared) if shared is not None else None,
    )


def seconds(written: Any) -> float:
    """Of a time as the API server writes it; NEVER_S for anything else."""
    try:
        return from_rfc3339(written)
    except (ValueError, TypeError, OverflowError):
        return NEVER_S


def dump(granted: Mapping[Claim, Granted], now_s: float) -> list[dict[str, str]]:
    """For status; what has no time yet (NEVER_S) is so since now."""

    def since(at_s: float) -> str:
        return rfc3339(at_s if at_s < NEVER_S else now_s)

    return [
        {
            "host": claim.host,
            "pathPrefix": claim.prefix,
            **({"cookie": record.cookie} if record.cookie is not None else {}),
            "since": since(record.since_s),
            **({"sharedSince": since(record.shared_since_s)} if record.shared_since_s is not None else {}),
        }
        for claim, record in sorted(granted.items(), key=lambda item: item[0])
    ]
