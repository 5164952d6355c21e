"""What ElasticApps report: condition, decisions, counts."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from millpond.api.approval import LONGEST_NAME
from millpond.api.checks.model import StatusModel

MAX_DECISIONS = 20

Text = Annotated[str, Field(max_length=1024)]
LongText = Annotated[
    str, Field(max_length=32768)
]  # as in Kubernetes' own conditions: others' errors are quoted
Word = Annotated[str, Field(max_length=128)]
Count = Annotated[int, Field(ge=0)]


class ConditionStatus(StrEnum):
    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(StatusModel):
    """One thing that is so, is not so, or is not known."""

    type: Word
    """What the condition is about, such as Ready or SLAMet."""
    status: ConditionStatus
    """True, False or Unknown."""
    reason: Word
    """Why, in one word."""
    message: LongText = ""
    """Why, in a sentence."""
    last_transition_time: Word
    """When `status` changed last (RFC 3339)."""
    observed_generation: Count | None = None
    """The metadata.generation that the condition was found for."""


class Option(StatusModel):
    """An option that was looked at and not taken."""

    servers: int
    """The number of servers it would have meant."""
    reason: Word
    """Why it was not taken."""


class Decision(StatusModel):
    """Something that Millpond did, or deliberately did not do, with everything needed to explain it."""

    at: Word
    """When it was decided (RFC 3339)."""
    edition: Word
    """The edition it is about."""
    action: Word
    """What was done: Grow, Retire, CancelStarting, CancelRetire or Hold."""
    reason: Word
    """Why, in one word."""
    servers: int
    """Servers that were ordered when it was decided."""
    wanted: int
    """Servers that the limits leave of what is needed."""
    needed: int | None = None
    """Servers that the load needs to stay within the goal; absent: not known."""
    limited_by: Word | None = None
    """The rule that made `wanted` differ from `needed`."""
    inputs: Annotated[dict[str, Annotated[str, Field(max_length=256)]], Field(max_length=32)] = Field(
        default_factory=dict
    )
    """The numbers it was decided from."""
    refused: Annotated[tuple[Option, ...], Field(max_length=64)] = ()
    """The options that were not taken."""
    message: Text = ""
    """The decision in a sentence."""


class ServerCounts(StatusModel):
    """How many servers are in which state."""

    desired: Count | None = None
    """Servers that Millpond wants now."""
    ready: Count | None = None
    """Servers that serve: ready, and every router routes to them."""
    starting: Count | None = None
    """Servers that were ordered and do not serve yet."""
    draining: Count | None = None
    """Servers that get no new requests and finish the running ones."""


class RolloutStatus(StatusModel):
    """How far the new edition has come."""

    edition: Word
    """The edition that comes."""
    from_edition: Annotated[Word, Field(alias="from")]
    """The edition that serves."""
    strategy: Word
    """Rolling, Atomic, Canary or BlueGreen."""
    phase: Word
    """Waiting (for a change window, or for the approval of a major edition), Validating, Progressing, Paused,
    Completed, RollingBack, RolledBack or Aborted."""
    step: Count = 0
    """0: before the first request; 1 and so on: that step; `steps`, the last one: all new sessions."""
    steps: Count = 0
    """How many steps there are, with the last one."""
    weight: Annotated[int, Field(ge=0, le=100)] = 0
    """Percent of new sessions that go to `edition`."""
    servers: Count | None = None
    """Servers that the app needs altogether."""
    started_at: Word | None = None
    """When the rollout began (RFC 3339)."""
    step_at: Word | None = None
    """When the step began (RFC 3339)."""
    until: Word | None = None
    """When what it waits for is there, such as the opening of a change window (RFC 3339)."""
    needs: Word | None = None
    """The person's act that it waits for: promote, approve or resume; absent: none."""
    emergency: Annotated[str, Field(max_length=256)] | None = None
    """The reason why change windows and approvals did not hold it up; absent: they did."""
    emergency_by: Annotated[str, Field(max_length=LONGEST_NAME)] | None = None
    """The user who gave that reason."""
    reason: Word | None = None
    """Why it is where it is, in one word."""
    message: Text = ""
    """Why, in a sentence."""


class Claim(StatusModel):
    """A host and path prefix that belongs to the app, for as long as its spec names them."""

    host: Annotated[str, Field(max_length=253)]
    """The host."""
    path_prefix: Annotated[str, Field(max_length=256)]
    """The paths on that host: this one and those below it."""
    cookie: Annotated[str, Field(max_length=64)] | None = None
    """The affinity cookie that it has there; no other app on that host has it."""
    since: Word
    """When it was granted (RFC 3339)."""
    shared_since: Word | None = None
    """When another app was first granted paths on that host (RFC 3339); absent: it was always alone there."""


class ElasticAppStatus(StatusModel):
    """What Millpond sees and does."""

    observed_generation: Count | None = None
    """The metadata.generation that this status was made for."""
    edition: Word | None = None
    """The edition that serves."""
    replicas: Count | None = None
    """All servers of the app that exist."""
    selector: Text | None = None
    """Label selector of the app's pods, for the scale subresource."""
    servers: ServerCounts | None = None
    """How many servers are in which state."""
    claims: Annotated[tuple[Claim, ...], Field(max_length=32)] = ()
    """The hosts and paths that the app was granted and still holds: nobody else gets them."""
    goal: Text | None = None
    """The goal of the app's SLA policy, such as average ≤ 300 ms."""
    conditions: Annotated[
        tuple[Condition, ...],
        Field(
            max_length=20,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
        ),
    ] = ()
    """Ready, SLAMet, MetricsAvailable, Limited, Draining, Paused and so on, each with its reason."""
    rollout: RolloutStatus | None = None
    """How far the new edition has come; absent before the first rollout."""
    decisions: Annotated[tuple[Decision, ...], Field(max_length=MAX_DECISIONS)] = ()
    """The last decisions, newest first."""
