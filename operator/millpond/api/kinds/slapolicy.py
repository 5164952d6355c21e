"""SLAPolicy: the goal that apps are promised, and how important it is."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import Field

from millpond.api import names
from millpond.api.checks.fields import Namespaces, lasting
from millpond.api.checks.model import Model
from millpond.api.checks.resource import AGE, Column, Resource
from millpond.api.checks.rules import Rule
from millpond.api.durations import MAX_LENGTH, seconds
from millpond_policies.world.model import Goal, GoalKind


class ServiceClass(StrEnum):
    PRODUCTION = "production"
    TEST = "test"


class GoalSpec(Model):
    """What is promised: an average or a percentile of the response time, or nothing."""

    type: GoalKind
    """What is measured: averageResponseTime; percentileResponseTime, the time within which `percentile`
    percent of the requests are answered; or discretionary, no promise at all."""
    target: Annotated[str, Field(max_length=MAX_LENGTH), lasting(above="0s", upto="5m")] | None = None
    """The response time that must not be exceeded, such as 300ms: more than 0, at most 5m. Units: ms, s, m.
    Required, except for a discretionary goal, which has none."""
    percentile: Annotated[int, Field(strict=True, ge=1, le=99)] | None = None
    """The percentage of requests that must be answered within the target: 1 to 99.
    Required for percentileResponseTime, and only there."""

    rules: ClassVar = (
        Rule(
            cel="self.type == 'discretionary' || has(self.target)",
            holds=lambda goal: goal.type is GoalKind.DISCRETIONARY or goal.target is not None,
            at="target",
            required=True,
            says="a goal of type {type} needs a target: the response time, such as 300ms",
        ),
        Rule(
            cel="self.type != 'discretionary' || !has(self.target)",
            holds=lambda goal: goal.type is not GoalKind.DISCRETIONARY or goal.target is None,
            at="target",
            says="target {target} contradicts a discretionary goal: remove target, or choose the type "
            "averageResponseTime or percentileResponseTime",
        ),
        Rule(
            cel="self.type != 'percentileResponseTime' || has(self.percentile)",
            holds=lambda goal: goal.type is not GoalKind.PERCENTILE or goal.percentile is not None,
            at="percentile",
            required=True,
            says="a goal of type {type} needs a percentile: a whole number from 1 to 99, such as 95",
        ),
        Rule(
            cel="self.type == 'percentileResponseTime' || !has(self.percentile)",
            holds=lambda goal: goal.type is GoalKind.PERCENTILE or goal.percentile is None,
            at="percentile",
            says="percentile {percentile} makes no sense for a goal of type {type}: remove percentile, or "
            "choose the type percentileResponseTime",
        ),
    )

    def to_goal(self) -> Goal:
        target_ms = None if self.target is None else seconds(self.target) * 1000
        return Goal(kind=self.type, target_ms=target_ms, percentile=self.percentile)

    def __str__(self) -> str:
        """average ≤ 300ms, p95 ≤ 300ms, none"""
        what = {GoalKind.AVERAGE: "average", GoalKind.PERCENTILE: f"p{self.percentile}"}.get(self.type)
        return f"{what} ≤ {self.target}" if what else "none"


class SLAPolicySpec(Model):
    """The goal, how much it matters, and who may use it."""

    goal: GoalSpec
    """What apps under this policy are promised."""
    importance: Annotated[int, Field(strict=True, ge=1, le=7)] = 4
    """Who goes first when the pool is short: 1 (highest) to 7 (lowest)."""
    service_class: Annotated[ServiceClass, Field(alias="class")] = ServiceClass.PRODUCTION
    """What the apps under this policy are for: production or test."""
    violation_period: Annotated[str, Field(max_length=MAX_LENGTH), lasting(above="0s", upto="1h")] = "30s"
    """How long the goal must be exceeded before the condition SLAMet turns False: more than 0, at most 1h."""
    allowed_namespaces: Namespaces | None = None
    """The namespaces whose apps may use this policy; absent: all of them."""

    @property
    def violation_period_s(self) -> float:
        return seconds(self.violation_period)

    def allows(self, namespace: str) -> bool:
        return self.allowed_namespaces is None or namespace in self.allowed_namespaces


RESOURCE = Resource(
    kind=names.SLAPOLICY,
    short=("sla",),
    namespaced=False,
    description="A response-time goal, and how important it is. Elastic apps name the policy they are under.",
    spec=SLAPolicySpec,
    columns=(
        Column(name="Goal", path=".spec.goal.type", description="What is measured."),
        Column(name="Target", path=".spec.goal.target", description="The response time promised."),
        Column(
            name="Percentile",
            path=".spec.goal.percentile",
            type="integer",
            description="Percentage of requests that must be answered within the target.",
        ),
        Column(
            name="Importance",
            path=".spec.importance",
            type="integer",
            description="1 (highest) to 7 (lowest).",
        ),
        Column(name="Class", path=".spec.class", description="production or test."),
        AGE,
        Column(
            name="Violation-Period",
            path=".spec.violationPeriod",
            wide=True,
            description="How long the goal must be exceeded before SLAMet turns False.",
        ),
        Column(
            name="Namespaces",
            path=".spec.allowedNamespaces",
            wide=True,
            description="Who may use it; empty: everybody.",
        ),
    ),
)


def parse(raw: Mapping[str, Any]) -> SLAPolicySpec:
    """The spec of a whole SLAPolicy object; SpecError lists what is wrong."""
    return RESOURCE.parse(raw)
