"""What `plan` may answer: an action, or a hold, about an app or a node. All say why, in numbers."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, TypeAlias

from millpond_policies.reasons import Reason
from millpond_policies.world.release import Progress

Input: TypeAlias = float | int | str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """An option that was looked at and not taken."""

    servers: int
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Because:
    """Everything needed to explain a verdict afterwards.

    ``servers`` is what is ordered now, ``wanted`` what the limits leave of what is ``needed``; ``limited_by`` names
    the rule that made the difference.
    """

    reason: Reason
    servers: int
    wanted: int
    needed: int | None = None
    limited_by: Reason | None = None
    inputs: tuple[tuple[str, Input], ...] = ()  # e.g. ("rate_rps", 41.2)
    refused: tuple[Refused, ...] = ()


class SubjectKind(StrEnum):
    APP = "App"
    NODE = "Node"


class Subject(NamedTuple):
    """What a verdict is about: an app by its key, or a node by its name."""

    kind: SubjectKind
    name: str


class _OfApp:
    __slots__ = ()
    app: str  # namespace/name

    @property
    def subject(self) -> Subject:
        return Subject(SubjectKind.APP, self.app)


class _OfNode:
    __slots__ = ()
    node: str

    @property
    def subject(self) -> Subject:
        return Subject(SubjectKind.NODE, self.node)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grow(_OfApp):
    """Order servers: set the replicas of an edition to ``to`` (more than now)."""

    app: str
    edition: str
    to: int
    because: Because


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelStarting(_OfApp):
    """Take back servers that were ordered and do not serve yet: replicas of an edition down to ``to``."""

    app: str
    edition: str
    to: int
    because: Because


@dataclass(frozen=True, slots=True, kw_only=True)
class Retire(_OfApp):
    """Drain this one server, then delete it."""

    app: str
    edition: str
    uid: str
    name: str
    because: Because


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRetire(_OfApp):
    """The load came back: let a draining server serve again."""

    app: str
    edition: str
    uid: str
    name: str
    because: Because


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold(_OfApp):
    """Change nothing, and say why."""

    app: str
    edition: str
    because: Because


@dataclass(frozen=True, slots=True, kw_only=True)
class Steer(_OfApp):
    """Bring a rollout to this point: what is to be remembered, and what the routers shall do."""

    app: str
    edition: str
    to: Progress
    because: Because


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldNode(_OfNode):
    """Change nothing about a node, and say why; ``because`` counts the servers there."""

    node: str
    because: Because


Action: TypeAlias = Grow | CancelStarting | Retire | CancelRetire | Steer
Verdict: TypeAlias = Action | Hold  # about an app
NodeVerdict: TypeAlias = HoldNode
AnyVerdict: TypeAlias = Verdict | NodeVerdict
