"""Which goal an app has, and where its response time is measured."""

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from millpond.api.checks.fields import Name, keys_matching
from millpond.api.checks.model import Model
from millpond.api.checks.rules import Keeps, Rule


class Source(StrEnum):
    ROUTER = "router"
    PROMETHEUS = "prometheus"


class Preset(StrEnum):
    ENVOY = "envoy"
    NGINX_INGRESS = "nginx-ingress"
    ISTIO = "istio"
    OPEN_LIBERTY = "open-liberty"


class PrometheusSource(Model):
    """Whose metrics in Prometheus tell the response time."""

    preset: Preset
    """The proxy or server that measures: envoy, nginx-ingress, istio or open-liberty."""
    labels: Annotated[
        dict[str, Annotated[str, Field(max_length=253)]],
        Field(max_length=16),
        Keeps(
            keys_matching(
                r"^[a-zA-Z_][a-zA-Z0-9_]{0,127}$",
                '"{bad}" is not the name of a label: use letters, digits and _, such as service',
            )
        ),
    ] = Field(default_factory=dict)
    """Label values, compared as they stand, that pick this app's series."""


class SLA(Model):
    """The goal of the app, and where its response time is measured."""

    policy: Name
    """Name of the SLAPolicy."""
    source: Source = Source.ROUTER
    """Where the response time comes from: router, Millpond's own; or prometheus, when another proxy serves
    the app."""
    prometheus: PrometheusSource | None = None
    """Whose metrics to read. Required with source prometheus, and only there."""

    rules: ClassVar = (
        Rule(
            cel="self.source != 'prometheus' || has(self.prometheus)",
            holds=lambda sla: sla.source is not Source.PROMETHEUS or sla.prometheus is not None,
            at="prometheus",
            required=True,
            says="source prometheus needs prometheus.preset: envoy, nginx-ingress, istio or open-liberty",
        ),
        Rule(
            cel="self.source == 'prometheus' || !has(self.prometheus)",
            holds=lambda sla: sla.source is Source.PROMETHEUS or sla.prometheus is None,
            at="prometheus",
            says="preset {prometheus.preset} would be ignored with source {source}: remove prometheus, or "
            "set source to prometheus",
        ),
    )
