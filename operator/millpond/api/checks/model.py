"""What all parts of our custom resources have in common."""

from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema

from millpond.api.checks.rules import Rule, check, validations


class Model(BaseModel):
    """A part of a spec. snake_case here is camelCase in manifests; unknown fields are refused.

    The string below a field is its description, which `kubectl explain` shows.
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )
    rules: ClassVar[tuple[Rule, ...]] = ()

    @model_validator(mode="after")
    def _keeps_rules(self) -> Self:
        check(self, self.rules)
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        schema = handler(core)
        handler.resolve_ref_schema(schema).update(validations(cls.rules))
        return schema

    def to_raw(self) -> dict[str, Any]:
        """As it stands in a manifest; absent fields are left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class StatusModel(Model):
    """A part of a status. What a newer Millpond wrote does not disturb an older one."""

    model_config = ConfigDict(extra="ignore")
