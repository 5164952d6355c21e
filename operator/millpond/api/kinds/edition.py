"""Edition: one immutable version of an app. Millpond makes it; people read it."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, JsonValue

from millpond.api import names
from millpond.api.checks.fields import EditionName, Name
from millpond.api.checks.model import Model, StatusModel
from millpond.api.checks.resource import AGE, Column, Resource
from millpond.api.kinds.template import PodTemplate

_ANYTHING: dict[str, JsonValue] = {"x-kubernetes-preserve-unknown-fields": True}


class EditionState(StrEnum):
    VALIDATING = "Validating"
    ACTIVE = "Active"
    DRAINING = "Draining"
    RETIRED = "Retired"


class EditionSpec(Model):
    """What this version is made from. It never changes."""

    app: Name
    """Name of the ElasticApp."""
    edition: EditionName
    """Name of the version, as the app's spec.edition said it."""
    template: PodTemplate
    """What the servers are made from."""
    template_hash: Annotated[str, Field(max_length=64)]
    """Hash of the template, to compare it with the app's."""


class EditionStatus(StatusModel):
    """How far this version is, and what was learned about it."""

    state: EditionState | None = None
    """Validating: only previews reach it. Active: it serves. Draining: its last requests are being finished.
    Retired: it has no servers left."""
    replicas: Annotated[int, Field(ge=0)] | None = None
    """Servers of this version that exist."""
    learned: Annotated[dict[str, Any], Field(json_schema_extra=_ANYTHING)] = Field(default_factory=dict)
    """What Millpond learned about what one server of this version can do."""


RESOURCE = Resource(
    kind=names.EDITION,
    short=("ed",),
    namespaced=True,
    description="One immutable version of an elastic app. Millpond makes it from the app's template.",
    spec=EditionSpec,
    status=EditionStatus,
    columns=(
        Column(name="App", path=".spec.app", description="The ElasticApp."),
        Column(name="Edition", path=".spec.edition", description="Name of the version."),
        Column(name="State", path=".status.state", description="Validating, Active, Draining or Retired."),
        Column(
            name="Servers", path=".status.replicas", type="integer", description="Servers of this version."
        ),
        AGE,
        Column(
            name="Image",
            path=".spec.template.spec.containers[0].image",
            wide=True,
            description="Image of the first container.",
        ),
        Column(name="Hash", path=".spec.templateHash", wide=True, description="Hash of the template."),
    ),
)


def parse(raw: Mapping[str, Any]) -> EditionSpec:
    """The spec of a whole Edition object; SpecError lists what is wrong."""
    return RESOURCE.parse(raw)
