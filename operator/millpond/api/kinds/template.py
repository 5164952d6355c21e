"""The pod template of an app. Its details are Kubernetes' matter: a dry run of the ReplicaSet checks them."""

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import ConfigDict, Field, JsonValue

from millpond.api.checks.model import Model
from millpond.api.checks.reserved import FREE_KEYS
from millpond.api.checks.rules import Keeps

_ANYTHING: dict[str, JsonValue] = {"x-kubernetes-preserve-unknown-fields": True}


class _Open(Model):
    """Fields that are not named here are Kubernetes' own, and are kept."""

    model_config = ConfigDict(extra="allow", json_schema_extra=_ANYTHING)


class Container(_Open):
    """A container of the pod; see `kubectl explain pod.spec.containers`."""

    name: Annotated[str, Field(max_length=63)]
    """Its name, unique in the pod."""


class PodSpec(_Open):
    """The spec of the pods; see `kubectl explain pod.spec`."""

    containers: Annotated[tuple[Container, ...], Field(min_length=1, max_length=16)]
    """The containers of the pod; one of them serves HTTP on `port`."""


class PodMetadata(_Open):
    """Labels and annotations of the pods."""

    labels: (
        Annotated[dict[str, Annotated[str, Field(max_length=63)]], Field(max_length=32), Keeps(FREE_KEYS)]
        | None
    ) = None
    """Labels of the pods, besides those that Millpond sets: all below millpond.dev/."""
    annotations: Annotated[dict[str, str], Field(max_length=128), Keeps(FREE_KEYS)] | None = None
    """Annotations of the pods: at most 128, and none below millpond.dev/, which are for Millpond to set."""


class PodTemplate(_Open):
    """What the servers are made from: a PodTemplateSpec, as in a Deployment."""

    metadata: PodMetadata | None = None
    """Labels and annotations of the pods."""
    spec: PodSpec
    """The spec of the pods."""


def template_hash(template: Mapping[str, Any]) -> str:
    """Ten hexadecimal digits that change when anything in the raw template does; key order does not matter."""
    text = json.dumps(template, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:10]
