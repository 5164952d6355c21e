"""A kind of custom resource: its models and how kubectl shows it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from millpond.api.checks.model import Model, StatusModel
from millpond.api.checks.parsing import parse_resource
from millpond.api.checks.rules import Rule
from millpond.api.names import PLURALS

Spec = TypeVar("Spec", bound=Model)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of `kubectl get`; ``wide`` ones only with `-o wide`."""

    name: str
    path: str
    type: str = "string"
    wide: bool = False
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource(Generic[Spec]):
    kind: str
    short: tuple[str, ...]
    namespaced: bool
    description: str
    spec: type[Spec]
    status: type[StatusModel] | None = None
    columns: tuple[Column, ...] = ()
    scale: Mapping[str, str] | None = None  # the paths of the scale subresource
    name_rule: Rule | None = None  # about metadata.name

    @property
    def plural(self) -> str:
        return PLURALS[self.kind]

    def parse(self, raw: Mapping[str, Any]) -> Spec:
        """The spec of a whole object as read from the API; SpecError says what is wrong with it."""
        return parse_resource(self.spec, raw, self.name_rule)


def condition_column(condition: str, *, wide: bool, description: str) -> Column:
    path = f'.status.conditions[?(@.type=="{condition}")].status'
    return Column(name=condition, path=path, wide=wide, description=description)


AGE = Column(
    name="Age", path=".metadata.creationTimestamp", type="date", description="Time since it was created."
)
