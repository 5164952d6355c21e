"""Which hosts the apps of a namespace may claim: admins say it by an annotation of the Namespace, else the default.

Only cluster admins can change Namespace objects: the roles edit and admin of a namespace cannot. Wildcard hosts need an
annotation that covers them, whatever the default.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from millpond.api.hosts import covering, is_wildcard, listed, patterns
from millpond.api.names import HOSTS_ANNOTATION
from millpond.kube.raw import fields, text

ANY_EXACT = ("*",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Namespace:
    """``hosts`` None: no annotation, so the default holds. ``wrong``: parts of it that are no host patterns."""

    name: str
    hosts: frozenset[str] | None = None
    wrong: tuple[str, ...] = ()


def namespace(raw: Mapping[str, Any]) -> Namespace:
    """What is kept of a Namespace object."""
    meta = raw["metadata"]
    told = text(fields(meta.get("annotations")).get(HOSTS_ANNOTATION))
    if told is None:
        return Namespace(name=str(meta["name"]))
    hosts, wrong = patterns(told)
    return Namespace(name=str(meta["name"]), hosts=frozenset(hosts), wrong=wrong[:10])


@dataclass(frozen=True, slots=True, kw_only=True)
class Grants:
    """``default``: patterns for namespaces without the annotation. A namespace that is not in ``known`` cannot be
    read: the default holds, and nothing that was granted is taken back."""

    default: tuple[str, ...] = ANY_EXACT
    known: Mapping[str, Namespace] = field(default_factory=dict)

    def allows(self, namespace: str, host: str) -> bool:
        found = self.known.get(namespace)
        if found is None or found.hosts is None:
            return not is_wildcard(host) and any(p in self.default for p in covering(host))
        return any(p in found.hosts for p in covering(host))

    def told(self, namespace: str) -> str:
        """What apps of a namespace may claim, and how to get more, for a message."""
        found = self.known.get(namespace)
        how = f"an admin grants more by the annotation {HOSTS_ANNOTATION} of the Namespace"
        if found is None or found.hosts is None:
            allowed = listed("any host without *" if p == "*" else p for p in self.default)
            return f"without a grant namespace {namespace!r} may claim: {allowed}; {how}"
        unread = f" (no host patterns: {listed(map(repr, found.wrong))})" if found.wrong else ""
        return f"namespace {namespace!r} may claim: {listed(sorted(found.hosts))}{unread}; {how}"
