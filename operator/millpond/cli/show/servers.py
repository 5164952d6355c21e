"""The servers of an app: each with its edition, its node and what it is doing. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from millpond.clock import rfc3339
from millpond.control.observe.objects import Pod, pod
from millpond.kube.client import Object

# The order in which they are listed.
STATES = ("serving", "starting", "draining", "ending", "failed")
COLOURS = {"serving": "green", "starting": "yellow", "draining": "cyan", "failed": "red"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    name: str
    edition: str
    node: str | None
    state: str
    until: str | None = None
    """When its drain ends at the latest, whatever is still in flight (RFC 3339)."""
    why: str | None = None
    """Why it drains, or does not serve yet."""

    def as_json(self) -> Mapping[str, Any]:
        told = {"name": self.name, "edition": self.edition, "node": self.node, "state": self.state}
        more = {"until": self.until, "why": self.why}
        return {**told, **{key: value for key, value in more.items() if value}}


def servers(pods: Iterable[Object]) -> list[Server]:
    """By edition, those that serve first."""
    found = [_server(pod(raw)) for raw in pods]
    return sorted(found, key=lambda s: (s.edition, STATES.index(s.state), s.node or "", s.name))


def _server(found: Pod) -> Server:
    state, until_s, why = _state(found)
    return Server(
        name=found.name,
        edition=found.edition or "?",
        node=found.node,
        state=state,
        until=None if until_s is None else rfc3339(until_s),
        why=why,
    )


def _state(found: Pod) -> tuple[str, float | None, str | None]:
    if found.finished:
        return "failed", None, found.phase
    if found.deleting or found.disrupted:
        return "ending", found.gone_by_s, found.retire.reason if found.retire else None
    if found.retire is not None:
        return "draining", found.retire.last_deadline_s, found.retire.reason
    if found.serving:
        return "serving", None, None
    return "starting", None, _obstacle(found)


def _obstacle(found: Pod) -> str | None:
    if found.containers_ready:
        return "the routers do not send to it yet"
    if found.obstacle is not None:
        return found.obstacle.text
    return None if found.node else "not on a node yet"
