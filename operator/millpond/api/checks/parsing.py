"""From raw objects to specs, and from pydantic's errors to sentences: field, value, what is right."""

import json
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from millpond.api.checks.model import Model
from millpond.api.checks.rules import Rule

Spec = TypeVar("Spec", bound=Model)
_MAX_VALUE_LENGTH = 80


class SpecError(ValueError):
    """A spec that Millpond cannot obey.

    ``problems``: one sentence each, such as "spec.port: 0 is not right: it should be greater than …".
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


def parse_resource(spec: type[Spec], raw: Mapping[str, Any], name_rule: Rule | None = None) -> Spec:
    """Validates ``raw["spec"]``, and the object's name where a rule is given."""
    problems = list(_name_problems(raw, name_rule))
    try:
        parsed = spec.model_validate(raw.get("spec", {}))
    except ValidationError as error:
        raise SpecError([*problems, *_problems(spec, error)]) from error
    if problems:
        raise SpecError(problems)
    return parsed


def _name_problems(raw: Mapping[str, Any], rule: Rule | None) -> Iterator[str]:
    name = raw.get("metadata", {}).get("name", "")
    if rule is not None and not rule.holds(name):
        yield f"metadata.name: {rule.text(name)}"


def _problems(spec: type[Model], error: ValidationError) -> Iterator[str]:
    for detail in error.errors(include_url=False):
        if _is_echo(detail):
            continue
        path = _path(("spec", *detail["loc"]))
        if detail["type"] == "rules":
            for at, text in detail["ctx"]["broken"]:
                yield f"{path}.{at}: {text}" if at else f"{path}: {text}"
        else:
            yield f"{path}: {_sentence(spec, detail)}"


def _path(loc: Sequence[int | str]) -> str:
    """("spec", "routes", 0, "host") -> spec.routes[0].host"""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc)
    return "".join(parts).removeprefix(".")


def _sentence(spec: type[Model], detail: ErrorDetails) -> str:
    if detail["type"] == "missing":
        return "is required, but missing"
    if detail["type"] == "extra_forbidden":
        return "there is no such field" + _suggestion(spec, detail["loc"])
    before, _, ought = detail["msg"].replace(" after validation", "").partition(" should ")
    return f"{_shown(detail['input'])} is not right: {f'it should {ought}' if ought else before}"


def _is_echo(detail: ErrorDetails) -> bool:
    """pydantic does not count bad items, and then finds a list too short; each bad item is reported anyway."""
    return detail["type"] == "too_short" and len(detail["input"]) >= detail["ctx"]["min_length"]


def _suggestion(spec: type[Model], loc: Sequence[int | str]) -> str:
    known = _known_fields(spec, loc[:-1])
    close = get_close_matches(str(loc[-1]), known, n=1)
    return f"; did you mean {close[0]}?" if close else f"; there are {', '.join(known)}"


def _known_fields(spec: type[BaseModel], loc: Sequence[int | str]) -> list[str]:
    """Names, as in manifests, of the fields of the part of ``spec`` at ``loc``."""
    part = spec
    for name in loc:
        fields = {field.alias or key: field for key, field in part.model_fields.items()}
        if name in fields:
            part = _model_in(fields[str(name)].annotation) or part
    return [field.alias or key for key, field in part.model_fields.items()]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """X of X, X | None, tuple[X, ...] and dict[str, X]."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_model_in(inner) for inner in getattr(annotation, "__args__", ()))
    return next((model for model in found if model), None)


def _shown(value: Any) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except (ValueError, RecursionError):  # nested too deep, or in itself
        text = f"this {type(value).__name__}"
    return text if len(text) <= _MAX_VALUE_LENGTH else text[: _MAX_VALUE_LENGTH - 1] + "…"
