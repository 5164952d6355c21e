"""JSON values as an API server treats them: copies, merge patches, lists that are merged by a key, selectors."""

from collections.abc import Iterable, Mapping
from typing import Any

from millpond.kube.raw import entries, fields

Raw = dict[str, Any]


def copied(value: Any) -> Any:
    """All the way down; what is not JSON is kept as it is."""
    if isinstance(value, dict):
        return {k: copied(v) for k, v in value.items()}
    if isinstance(value, list):
        return [copied(v) for v in value]
    return value


def merged(old: Any, new: Any) -> Any:
    """RFC 7396: null takes away, lists are replaced."""
    if not isinstance(new, Mapping):
        return copied(new)
    old = old if isinstance(old, Mapping) else {}
    found = {**old, **{k: merged(old.get(k), v) for k, v in new.items()}}
    return {k: v for k, v in found.items() if v is not None}


def strategic(old: Raw, new: Raw) -> Raw:
    """As far as it is relied on: a merge in which conditions are merged by their type."""
    found: Raw = merged(old, new)
    conditions = entries(fields(new.get("status")).get("conditions"))
    if conditions:
        before = entries(fields(old.get("status")).get("conditions"))
        found["status"]["conditions"] = by_type(before, conditions)
    return found


def by_type(before: Iterable[Raw], news: Iterable[Raw]) -> list[Raw]:
    told = {c["type"]: c for c in news}
    kept = [{**c, **told.pop(c["type"])} if c.get("type") in told else c for c in before]
    return [*kept, *(copied(c) for c in news if c["type"] in told)]


def selected(raw: Raw, selector: str | None) -> bool:
    """``selector``: "key", "key=value", several with commas; None selects all."""
    labels = raw["metadata"].get("labels")
    labels = labels if isinstance(labels, Mapping) else {}
    for part in (selector or "").split(","):
        key, equals, value = part.partition("=")
        if key and (key not in labels or (equals and labels[key] != value)):
            return False
    return True


def where(path: str) -> tuple[str, str, str, str]:
    """Resource, namespace, name and subresource of an API path; what it does not name is empty."""
    parts = path.strip("/").split("/")
    parts = parts[2:] if parts[0] == "api" else parts[3:]
    namespace = ""
    if parts[0] == "namespaces" and len(parts) > 2:
        namespace, parts = parts[1], parts[2:]
    resource, name, sub = (*parts, "", "")[:3]
    return resource, namespace, name, sub
