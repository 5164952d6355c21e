"""Rollout: how an app goes from the edition that serves to the one that spec names."""

from itertools import pairwise
from typing import Annotated, ClassVar

from pydantic import Field, StrictBool

from millpond.api.checks.fields import EditionName, lasting, matching
from millpond.api.checks.model import Model
from millpond.api.checks.reserved import FREE_HEADER
from millpond.api.checks.rules import Keeps, Rule
from millpond.api.durations import MAX_LENGTH, seconds
from millpond.api.kinds.route import PreviewHost
from millpond_policies.world.strategy import Strategy

UpTo24h = Annotated[str, Field(max_length=MAX_LENGTH), lasting(least="0s", upto="24h")]

HeaderName = Annotated[
    str,
    Field(max_length=64),
    Keeps(
        matching(
            r"^[a-z0-9]+(-[a-z0-9]+)*$",
            '"{self}" is not the name of a header: write it in lower case with digits and "-", such as x-canary',
        ),
        Rule(
            cel="self != 'host'",
            holds=lambda name: name != "host",
            says='"{self}" is no header that routers compare: use the host of a route or of a preview, or a header '
            "such as x-canary",
        ),
        FREE_HEADER,
    ),
]

HeaderValue = Annotated[
    str,
    Field(max_length=128),
    Keeps(
        matching(
            r"^[!-~]([ -~]*[!-~])?$",
            '"{self}" is not the value of a header: write printable ASCII without spaces around it, such as yes',
        )
    ),
]


class HeaderMatch(Model):
    """Requests that have this header with exactly this value."""

    name: HeaderName
    """Name of the header, in lower case, such as x-canary."""
    value: HeaderValue
    """The value that it must have."""


class StepSpec(Model):
    """A part of the traffic that the new edition gets, and how long at least."""

    weight: Annotated[int, Field(strict=True, ge=1, le=99)] | None = None
    """Percent of new sessions that go to the new edition: 1 to 99, more than in the step before. Either this
    or `header`."""
    header: HeaderMatch | None = None
    """Only requests with this header go to the new edition. Either this or `weight`."""
    pause: UpTo24h = "0s"
    """How long the step lasts at least: 0s to 24h."""
    approval: StrictBool = False
    """Whether the step lasts until somebody promotes it."""

    rules: ClassVar = (
        Rule(
            cel="has(self.weight) || has(self.header)",
            holds=lambda step: step.weight is not None or step.header is not None,
            at="weight",
            required=True,
            says="a step needs a weight, the percentage of new sessions from 1 to 99, or a header",
        ),
        Rule(
            cel="!has(self.weight) || !has(self.header)",
            holds=lambda step: step.weight is None or step.header is None,
            at="header",
            says="header {header.name} and weight {weight} in one step: remove one of them, or make two steps",
        ),
    )

    @property
    def percent(self) -> int:
        """Percent of new sessions; 0 for a step by header."""
        return self.weight or 0

    @property
    def pause_s(self) -> float:
        return seconds(self.pause)


CANARY_STEPS = (StepSpec(weight=10, pause="1m"), StepSpec(weight=50, pause="1m"))


def _weights(steps: tuple[StepSpec, ...]) -> list[int]:
    return [step.weight for step in steps if step.weight is not None]


def _rising(steps: tuple[StepSpec, ...]) -> bool:
    weights = _weights(steps)
    return all(before < after for before, after in pairwise(weights))


# Of the weights alone, because steps by header may stand between them.
_CEL_WEIGHTS = "self.filter(s, has(s.weight)).map(s, s.weight)"
RISING = Rule(
    cel="self.all(s, !has(s.weight) || self.filter(t, has(t.weight) && t.weight == s.weight).size() == 1) "
    f"&& {_CEL_WEIGHTS}.isSorted()",
    holds=_rising,
    says="weights {weights} do not rise: each step needs more than the one before, such as 10, 50",
    where={"weights": (_CEL_WEIGHTS, lambda steps: str(_weights(steps)))},
)

Steps = Annotated[tuple[StepSpec, ...], Field(min_length=1, max_length=20), Keeps(RISING)]


class Preview(Model):
    """Who reaches an edition that is still Validating, and how many servers it has then."""

    header: HeaderName | None = None
    """A request that has this header, with the name of the edition as its value, goes to that edition."""
    host: PreviewHost | None = None
    """All requests for this host go to the edition that is Validating. Not a host of `routes`."""
    servers: Annotated[int, Field(strict=True, ge=1, le=100)] = 1
    """Servers of an edition while it is Validating: 1 to 100, at most `servers.max`."""

    rules: ClassVar = (
        Rule(
            cel="has(self.header) || has(self.host)",
            holds=lambda preview: preview.header is not None or preview.host is not None,
            at="header",
            required=True,
            says="a preview needs a header, such as x-millpond-edition, or a host, or both",
        ),
    )


class Analysis(Model):
    """When the new edition has been seen enough to be judged."""

    min_requests: Annotated[int, Field(strict=True, ge=10, le=1_000_000)] = 100
    """Requests of the new edition that must have been seen before a Canary step is left: 10 to 1000000."""


class Promote(Model):
    """Somebody's word that the rollout may go on."""

    edition: EditionName
    """The edition that is meant; ignored when another one is rolled out."""
    step: Annotated[int, Field(strict=True, ge=0, le=20)] = 0
    """The last step that may be left: 0 is Validating, 1 the first of `steps`, and so on up to 20."""


def _older(value: object) -> bool:
    """Objects may be older than the rule: they are read, and say nothing by this field."""
    return True


NOT_BLANK = Rule(
    cel=r"self == '' || self.matches('\\S')",
    holds=_older,
    says='"{self}" is no reason: say in a few words why the edition cannot wait, such as "v1 loses orders"',
)


class Rollout(Model):
    """How the edition that spec names takes over from the one that serves."""

    strategy: Strategy = Strategy.ROLLING
    """Rolling: server by server. Atomic: all new sessions at once. Canary: step by step, judged by its own
    metrics. BlueGreen: as many new servers as old ones first, which stay until the end."""
    group_size: Annotated[int, Field(strict=True, ge=1, le=100)] = 1
    """Rolling: servers that come, then go, at a time. Otherwise: old servers retired at a time. 1 to 100."""
    steps: Steps | None = None
    """The steps of a Canary rollout, 1 to 20; absent: 10 percent, then 50, for a minute each."""
    approval: StrictBool = False
    """Whether the new edition stays Validating until somebody promotes it."""
    preview: Preview | None = None
    """Who reaches an edition that is Validating; absent: nobody."""
    soak: UpTo24h = "10s"
    """How long the new edition carries all new sessions before the old servers go: 0s to 24h."""
    deadline: Annotated[str, Field(max_length=MAX_LENGTH), lasting(least="10s", upto="24h")] = "10m"
    """A step that is not done within this time is rolled back: 10s to 24h."""
    analysis: Analysis = Analysis()
    """When the new edition has been seen enough to be judged."""
    paused: StrictBool = False
    """Whether the rollout stays where it is."""
    promote: Promote | None = None
    """Somebody's word that the rollout may go on."""
    abort: EditionName | None = None
    """The edition that is taken back; ignored when another one is rolled out."""
    emergency: Annotated[str, Field(max_length=256), Keeps(NOT_BLANK)] = ""
    """Why `emergencyEdition` waits neither for a change window nor for approvals; it is recorded. Empty: it waits."""
    emergency_edition: EditionName | None = None
    """The edition that `emergency` is about; ignored when another one is rolled out."""
    major: StrictBool = False
    """Whether the edition is a major one: it starts only once somebody else has approved it."""

    rules: ClassVar = (
        Rule(
            cel="self.strategy == 'Canary' || !has(self.steps)",
            holds=lambda rollout: rollout.strategy is Strategy.CANARY or rollout.steps is None,
            at="steps",
            says="steps would be ignored with strategy {strategy}: remove steps, or set strategy to Canary",
        ),
        Rule(
            cel="self.emergency == '' || has(self.emergencyEdition)",
            holds=_older,
            at="emergencyEdition",
            required=True,
            says="an emergency is about one edition: name it here as in spec.edition, such as v2",
        ),
    )

    @property
    def planned_steps(self) -> tuple[StepSpec, ...]:
        """The steps of a Canary rollout, written or by default; none with any other strategy."""
        if self.strategy is not Strategy.CANARY:
            return ()
        return CANARY_STEPS if self.steps is None else self.steps

    @property
    def soak_s(self) -> float:
        return seconds(self.soak)

    @property
    def deadline_s(self) -> float:
        return seconds(self.deadline)
