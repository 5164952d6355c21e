"""Rules of the API, each in CEL for the API server and in Python for the operator, with one message for both.

The operator checks again because objects may be older than a rule.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.alias_generators import to_snake
from pydantic_core import PydanticCustomError, core_schema

_PLACE = re.compile(r"\{([A-Za-z.]+)\}")
_QUOTED_PLACE = re.compile(r'"?\{[A-Za-z.]+\}"?')


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """``{target}`` in ``says`` stands for that field of the checked value, ``{self}`` for the value itself.

    ``where`` gives further words to ``says``: word -> (CEL expression of a string, the same in Python).
    No ``cel``: the API server refuses it by other means.
    ``at`` names the field to blame when the checked value is an object. ``required``: that field is missing.
    """

    cel: str
    holds: Callable[[Any], bool]
    says: str
    at: str = ""
    required: bool = False
    where: Mapping[str, tuple[str, Callable[[Any], str]]] = field(default_factory=dict)

    def text(self, value: Any) -> str:
        """The message about ``value``, which breaks this rule."""
        return _PLACE.sub(lambda place: self._word(place[1], value), self.says)

    def _word(self, word: str, value: Any) -> str:
        if word in self.where:
            return self.where[word][1](value)
        for part in word.removeprefix("self").split("."):
            value = getattr(value, to_snake(part)) if part else value
        return str(value)

    def to_schema(self) -> dict[str, str]:
        """An entry of x-kubernetes-validations."""
        # Kubernetes refuses to say messages with line ends; then the plain one stands in.
        plain = _QUOTED_PLACE.sub("this value", self.says)
        schema = {"rule": self.cel, "messageExpression": self._message_expression(), "message": plain}
        if self.at:
            schema["fieldPath"] = f".{self.at}"
        if self.required:
            schema["reason"] = "FieldValueRequired"
        return schema

    def _message_expression(self) -> str:
        pieces = _PLACE.split(self.says)  # text, word, text, word, …
        words = [self._cel_word(word) for word in pieces[1::2]]
        text = _quoted("%s".join(piece.replace("%", "%%") for piece in pieces[::2]))
        return f"{text}.format([{', '.join(words)}])" if words else text

    def _cel_word(self, word: str) -> str:
        if word in self.where:
            return self.where[word][0]
        return "self" if word == "self" else f"self.{word}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def validations(rules: Iterable[Rule]) -> dict[str, list[dict[str, str]]]:
    """The rules as a part of a JSON schema; nothing for no rules."""
    found = [rule.to_schema() for rule in rules if rule.cel]
    return {"x-kubernetes-validations": found} if found else {}


def check(value: Any, rules: Iterable[Rule]) -> Any:
    """The value, or one pydantic error that lists (field, message) of all the rules it breaks."""
    broken = [(rule.at, rule.text(value)) for rule in rules if not rule.holds(value)]
    if broken:
        text = "; ".join(message for _, message in broken)
        raise PydanticCustomError("rules", "{text}", {"text": text, "broken": broken})
    return value


class Keeps:
    """Annotation of a field's type: ``Annotated[str, Keeps(IS_HOST)]``."""

    def __init__(self, *rules: Rule) -> None:
        self.rules = rules

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(
            lambda value: check(value, self.rules), handler(source)
        )

    def __get_pydantic_json_schema__(
        self, core: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        schema = dict(handler(core))
        earlier = schema.get("x-kubernetes-validations", [])
        added = validations(self.rules).get("x-kubernetes-validations", [])
        return schema | {"x-kubernetes-validations": [*earlier, *added]} if added else schema
