"""ElasticApp: an application whose number of servers follows its goal."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field

from millpond.api import names
from millpond.api.checks.fields import DNS_LABEL, DateTime, EditionName, Name, lasting, matching, not_longer
from millpond.api.checks.model import Model
from millpond.api.checks.reserved import FREE_COOKIE
from millpond.api.checks.resource import AGE, Column, Resource, condition_column
from millpond.api.checks.rules import Keeps, Rule
from millpond.api.durations import MAX_LENGTH, seconds
from millpond.api.kinds.rollout import Preview, Rollout
from millpond.api.kinds.route import AppProtocol, Routes
from millpond.api.kinds.sla import SLA
from millpond.api.kinds.status import ElasticAppStatus
from millpond.api.kinds.template import PodTemplate
from millpond.api.kinds.windows import ChangeWindows
from millpond.api.protocol import Protocol
from millpond.clock import from_rfc3339
from millpond_policies.world.model import Mode

ServerCount = Annotated[int, Field(strict=True, ge=1, le=1000)]


class Paused(Model):
    """Millpond changes nothing about the app until a moment that must be given."""

    until: DateTime
    """When the pause ends, as RFC 3339, such as 2030-01-31T18:00:00Z. In the past: not paused."""
    reason: Annotated[str, Field(max_length=256)] = ""
    """Why, for those who wonder."""

    @property
    def until_s(self) -> float:
        """Seconds since the epoch."""
        return from_rfc3339(self.until)


class Servers(Model):
    """The limits of the number of servers."""

    min: ServerCount = 1
    """The floor: never fewer servers than this."""
    max: ServerCount
    """The ceiling: never more servers than this."""

    rules: ClassVar = (
        Rule(
            cel="self.min <= self.max",
            holds=lambda servers: servers.min <= servers.max,
            at="min",
            says="min {min} is greater than max {max}: lower min to {max} or less, or raise max",
        ),
    )


class Affinity(Model):
    """Requests of one session go to the same server."""

    cookie: Annotated[
        str,
        Field(max_length=64),
        Keeps(
            matching(
                r"^[A-Za-z0-9_-]+$",
                '"{self}" is not the name of a cookie: use letters, digits, "_" and "-", such as MILLPOND',
            ),
            FREE_COOKIE,
        ),
    ]
    """Name of the cookie by which the router remembers the server of a session.
    Not one that the app itself sets, and none that begins with millpond-, as the routers' own do."""


class Drain(Model):
    """How a server is ended."""

    timeout: Annotated[str, Field(max_length=MAX_LENGTH), lasting(above="0s", upto="1h")] = "30s"
    """How long a draining server may take to finish its requests and sessions: more than 0, at most 1h."""
    session_timeout: Annotated[str, Field(max_length=MAX_LENGTH), lasting(above="0s", upto="1h")] | None = (
        None
    )
    """The sessions of a draining server have ended when no request came for so long: more than 0, at most
    `timeout`. Needs `affinity`; absent: it goes once it has no request, and
    another server gets its sessions."""
    stream_timeout: Annotated[str, Field(max_length=MAX_LENGTH), lasting(above="0s", upto="24h")] | None = (
        None
    )
    """How long a draining server may take to finish WebSockets, server-sent events and gRPC streams: at least
    `timeout`, at most 24h; absent: as `timeout`."""

    rules: ClassVar = (
        not_longer(
            "sessionTimeout",
            "timeout",
            at="sessionTimeout",
            says="sessionTimeout {sessionTimeout} is longer than timeout {timeout}, which ends sessions anyway: lower "
            "sessionTimeout to {timeout} or less, or raise timeout",
        ),
        not_longer(
            "timeout",
            "streamTimeout",
            at="streamTimeout",
            says="streamTimeout {streamTimeout} is shorter than timeout {timeout}: raise streamTimeout to {timeout} or "
            "more, or remove it",
        ),
    )

    @property
    def timeout_s(self) -> float:
        return seconds(self.timeout)

    @property
    def session_timeout_s(self) -> float | None:
        """None: sessions hold no server back."""
        return None if self.session_timeout is None else seconds(self.session_timeout)

    @property
    def stream_timeout_s(self) -> float:
        return seconds(self.timeout if self.stream_timeout is None else self.stream_timeout)


class ElasticAppSpec(Model):
    """What runs, where, under which goal and within which limits."""

    pool: Name
    """Name of the DynamicPool whose nodes the servers run on."""
    sla: SLA
    """The goal of the app, and where its response time is measured."""
    mode: Mode = Mode.AUTOMATIC
    """Automatic: Millpond decides how many servers there are. Manual: `replicas` does."""
    paused: Paused | None = None
    """Millpond changes nothing about the app until a moment that must be given."""
    servers: Servers
    """The limits of the number of servers."""
    replicas: Annotated[int, Field(strict=True, ge=0, le=1000)] = 1
    """The number of servers in mode Manual (`kubectl scale` sets it), within `servers.min` and `max`; ignored in
    mode Automatic. What it asks for in vain the condition ReplicasIgnored says."""
    edition: EditionName
    """Name of the version that `template` is. A changed template needs a new name."""
    template: PodTemplate
    """What the servers are made from: a PodTemplateSpec, as in a Deployment."""
    port: Annotated[int, Field(strict=True, ge=1, le=65535)]
    """The port of the container that serves HTTP."""
    protocol: AppProtocol = Protocol.HTTP
    """What the servers speak on that port, without TLS. HTTP: HTTP/1.1. HTTP2: HTTP/2 without upgrade (h2c). GRPC: as
    HTTP2, and calls of gRPC are requests like others: they have response times and count for the number of servers.
    A long call then holds a drain until `drain.timeout`; with HTTP and HTTP2 gRPC counts as streams, which have
    `drain.streamTimeout`. It cannot change while the app exists."""
    routes: Routes
    """The requests that the routers send to this app."""
    affinity: Affinity | None = None
    """Requests of one session go to the same server; absent: to any server."""
    drain: Drain = Drain()
    """How a server is ended."""
    rollout: Rollout = Rollout()
    """How the edition that `edition` names takes over from the one that serves."""
    change_windows: ChangeWindows | None = None
    """A rollout starts only inside one of these windows, and of its pool's, if that has any; absent: at any
    time."""
    history_limit: Annotated[int, Field(strict=True, ge=0, le=50)] = 5
    """Retired editions that are kept, so that one can go back to them: 0 to 50."""

    rules: ClassVar = (
        Rule(
            cel="!has(self.drain.sessionTimeout) || has(self.affinity)",
            holds=lambda spec: spec.drain.session_timeout is None or spec.affinity is not None,
            at="drain.sessionTimeout",
            says="sessionTimeout {drain.sessionTimeout} would be ignored without affinity: set affinity.cookie, or "
            "remove sessionTimeout",
        ),
        Rule(
            cel="!has(self.rollout.preview) || self.rollout.preview.servers <= self.servers.max",
            holds=lambda spec: spec.preview is None or spec.preview.servers <= spec.servers.max,
            at="rollout.preview.servers",
            says="{rollout.preview.servers} is more than servers.max {servers.max}: lower it to {servers.max} or "
            "less, or raise servers.max",
        ),
        Rule(
            cel="!has(self.rollout.preview) || !has(self.rollout.preview.host) "
            "|| !self.routes.exists(r, r.host == self.rollout.preview.host)",
            holds=lambda spec: spec.preview is None or spec.preview.host not in {r.host for r in spec.routes},
            at="rollout.preview.host",
            says='"{rollout.preview.host}" is a host of routes, whose requests the serving edition gets: choose '
            "another host, such as preview.{rollout.preview.host}",
        ),
    )

    @property
    def floor(self) -> int:
        """The fewest servers it is to have: in mode Manual as many as `replicas` asks for, within the limits."""
        asked = self.replicas if self.mode is Mode.MANUAL else 0
        return max(self.servers.min, min(asked, self.servers.max))

    @property
    def preview(self) -> Preview | None:
        """Who reaches an edition that is Validating; None: nobody."""
        return self.rollout.preview


RESOURCE = Resource(
    kind=names.ELASTICAPP,
    short=("eapp",),
    namespaced=True,
    description="An application whose number of servers follows its response-time goal.",
    spec=ElasticAppSpec,
    status=ElasticAppStatus,
    scale={
        "specReplicasPath": ".spec.replicas",
        "statusReplicasPath": ".status.replicas",
        "labelSelectorPath": ".status.selector",
    },
    name_rule=matching(
        DNS_LABEL,
        '"{self}" cannot name an ElasticApp: use at most 63 lower-case letters, digits and "-"',
    ),
    columns=(
        Column(name="Edition", path=".spec.edition", description="The version that spec names."),
        Column(name="Goal", path=".status.goal", description="The goal of its SLA policy."),
        Column(
            name="Desired",
            path=".status.servers.desired",
            type="integer",
            description="Servers that Millpond wants now.",
        ),
        Column(
            name="Serving", path=".status.servers.ready", type="integer", description="Servers that serve."
        ),
        Column(name="Min", path=".spec.servers.min", type="integer", description="The floor."),
        Column(name="Max", path=".spec.servers.max", type="integer", description="The ceiling."),
        condition_column("SLAMet", wide=False, description="Whether the goal is met."),
        condition_column("Ready", wide=False, description="Whether the app serves as declared."),
        AGE,
        Column(name="Mode", path=".spec.mode", wide=True, description="Automatic or Manual."),
        Column(name="Policy", path=".spec.sla.policy", wide=True, description="Its SLA policy."),
        Column(name="Pool", path=".spec.pool", wide=True, description="Its pool."),
        Column(
            name="Starting",
            path=".status.servers.starting",
            type="integer",
            wide=True,
            description="Servers ordered that do not serve yet.",
        ),
        Column(
            name="Draining",
            path=".status.servers.draining",
            type="integer",
            wide=True,
            description="Servers that finish their last requests.",
        ),
        Column(
            name="Rollout",
            path=".status.rollout.phase",
            wide=True,
            description="How far the new edition has come.",
        ),
        Column(
            name="Weight",
            path=".status.rollout.weight",
            type="integer",
            wide=True,
            description="Percent of new sessions that go to the new edition.",
        ),
        condition_column("Limited", wide=True, description="Whether it gets less than it needs."),
        Column(name="Paused", path=".spec.paused.until", wide=True, description="Until when it is paused."),
        Column(
            name="Last-Decision",
            path=".status.decisions[0].reason",
            wide=True,
            description="Why Millpond did what it did last.",
        ),
        Column(name="Host", path=".spec.routes[0].host", wide=True, description="Its first host."),
    ),
)


def parse(raw: Mapping[str, Any]) -> ElasticAppSpec:
    """The spec of a whole ElasticApp object; SpecError lists what is wrong."""
    return RESOURCE.parse(raw)
