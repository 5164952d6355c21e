"""What a container's process finds in its environment."""

import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from millpond.local.node.api import Json, StatusError
from millpond.local.node.containers.expansion import expand
from millpond.local.node.pods import downward

Fetch = Callable[
    [str, str], Awaitable[Json]
]  # ("configmaps" | "secrets", name) -> object; StatusError 404 if none


class ConfigError(Exception):
    """A reference that leads nowhere (yet): Kubernetes' CreateContainerConfigError."""


async def build(container: Json, facts: downward.Facts, fetch: Fetch) -> dict[str, str]:
    """The variables of ``envFrom`` and ``env``, later ones seeing and replacing earlier ones.

    Raises ConfigError for a missing object or key that is not optional.
    """
    known: dict[str, str] = {}
    for source in container.get("envFrom", ()):
        known |= await _all_of(source, fetch)
    for entry in container.get("env", ()):
        value = await _value(entry, container, facts, fetch, known)
        if value is not None:
            known[entry["name"]] = value
    return known


def process_environment(
    variables: Mapping[str, str], *, hostname: str, home: Path, marks: Mapping[str, str]
) -> dict[str, str]:
    """Nothing of the agent's own environment but what finds programs and names the cluster to its reaper.

    The marks come last: no container can take itself out of its cluster's and its node's reach.
    """
    tools = str(Path(sys.executable).parent)
    ground = {
        "PATH": f"{tools}:{os.environ.get('PATH') or os.defpath}",
        "HOME": str(home),
        "LANG": os.environ.get("LANG", "C.UTF-8"),
        "HOSTNAME": hostname,
    }
    cluster = {name: os.environ[name] for name in ("MILLPOND_CLUSTER",) if name in os.environ}
    return ground | dict(variables) | dict(marks) | cluster


async def _value(
    entry: Json, container: Json, facts: downward.Facts, fetch: Fetch, known: Mapping[str, str]
) -> str | None:
    source = entry.get("valueFrom")
    if source is None:
        return expand(entry.get("value", ""), known)
    try:
        if "fieldRef" in source:
            return downward.field(source["fieldRef"]["fieldPath"], facts)
        if "resourceFieldRef" in source:
            return downward.resource(source["resourceFieldRef"], container, facts)
    except ValueError as e:
        raise ConfigError(f"env {entry['name']}: {e}") from e
    for ref, kind in (("configMapKeyRef", "configmaps"), ("secretKeyRef", "secrets")):
        if ref in source:
            return await _key(source[ref], kind, fetch)
    raise ConfigError(
        f"env {entry['name']}: valueFrom {', '.join(source)} is not supported on a process node"
    )


async def _key(ref: Json, kind: str, fetch: Fetch) -> str | None:
    data = await _data(kind, ref, fetch)
    if ref["key"] in data:
        return data[ref["key"]]
    if ref.get("optional"):
        return None
    raise ConfigError(f"couldn't find key {ref['key']} in {kind[:-1]} {ref.get('name', '')}")


async def _all_of(source: Json, fetch: Fetch) -> dict[str, str]:
    prefix = source.get("prefix", "")
    for ref, kind in (("configMapRef", "configmaps"), ("secretRef", "secrets")):
        if ref in source:
            data = await _data(kind, source[ref], fetch)
            return {prefix + name: value for name, value in data.items()}
    return {}


async def _data(kind: str, ref: Json, fetch: Fetch) -> dict[str, str]:
    try:
        found = await fetch(kind, ref.get("name", ""))
    except StatusError as e:
        if e.gone and ref.get("optional"):
            return {}
        raise ConfigError(str(e)) from e
    return downward.text_data(kind, found)
