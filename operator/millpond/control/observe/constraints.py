"""Where the pods of a template may run, as far as the planner can honour it. Pure and total.

What bars nodes and is not understood is named in ``unknown``; what only prefers some (preferred affinity, spreads that
schedule anyway) bars none, and is left to the kube-scheduler.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from millpond.kube.raw import entries, fields, text
from millpond_policies.world.constraints import (
    Constraints,
    Labels,
    NodeTerm,
    Operator,
    Requirement,
    Spread,
    Toleration,
)

Raw = Mapping[str, Any]
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_COUNTED = {"cpu", "memory", "ephemeral-storage"}  # the last is not counted: few nodes are short of it first
_OPERATORS = {operator.value: operator for operator in Operator}
_SPREAD = {"maxSkew", "topologyKey", "whenUnsatisfiable", "labelSelector"}


class _Unknown(Exception):
    pass


def constraints(spec: Raw) -> Constraints:
    """Of a pod's spec."""
    unknown = set(_unknown(spec))
    affinity = _each(spec, "affinity.nodeAffinity", _affinity, unknown)
    return Constraints(
        selector=_each(spec, "nodeSelector", _selector, unknown),
        affinity=affinity,
        tolerations=_each(spec, "tolerations", _tolerations, unknown),
        spread=_each(spec, "topologySpreadConstraints", _spreads, unknown),
        unknown=tuple(sorted(unknown)),
    )


def _each(spec: Raw, name: str, read: Any, unknown: set[str]) -> Any:
    try:
        return read(spec)
    except _Unknown:
        unknown.add(name)
        return ()


def _unknown(spec: Raw) -> Iterator[str]:
    """Fields by which the kube-scheduler may refuse a node, and which are not understood here at all."""
    affinity = fields(spec.get("affinity"))
    for kind in ("podAffinity", "podAntiAffinity"):
        if fields(affinity.get(kind)).get(_REQUIRED):
            yield f"affinity.{kind}"
    for name in ("schedulingGates", "resourceClaims", "nodeName"):
        if spec.get(name):
            yield name
    if spec.get("schedulerName", "default-scheduler") != "default-scheduler":
        yield "schedulerName"
    if any(
        v.get(kind) for v in entries(spec.get("volumes")) for kind in ("persistentVolumeClaim", "ephemeral")
    ):
        yield "volumes"
    containers = [*entries(spec.get("containers")), *entries(spec.get("initContainers"))]
    if any(p.get("hostPort") for c in containers for p in entries(c.get("ports"))):
        yield "hostPort"
    asked = {name for c in (*containers, spec) for name in fields(fields(c.get("resources")).get("requests"))}
    asked |= {name for c in (*containers, spec) for name in fields(fields(c.get("resources")).get("limits"))}
    yield from (f"resources.{name}" for name in asked - _COUNTED)


def _selector(spec: Raw) -> Labels:
    return _labels(spec.get("nodeSelector"))


def _labels(raw: Any) -> Labels:
    if raw is None:
        return ()
    if not isinstance(raw, Mapping) or not all(isinstance(v, str) for v in raw.values()):
        raise _Unknown
    return tuple(sorted((str(k), v) for k, v in raw.items()))


def _affinity(spec: Raw) -> tuple[NodeTerm, ...]:
    required = fields(fields(spec.get("affinity")).get("nodeAffinity")).get(_REQUIRED)
    if required is None:
        return ()
    return tuple(
        NodeTerm(
            labels=_requirements(term.get("matchExpressions")), fields=_requirements(term.get("matchFields"))
        )
        for term in _list(fields(required).get("nodeSelectorTerms"))
    )


def _requirements(raw: Any) -> tuple[Requirement, ...]:
    return tuple(
        Requirement(
            key=_text(r.get("key")), operator=_operator(r.get("operator")), values=_texts(r.get("values"))
        )
        for r in _list(raw)
    )


def _operator(raw: Any) -> Operator:
    if not isinstance(raw, str) or raw not in _OPERATORS:
        raise _Unknown
    return _OPERATORS[raw]


def _tolerations(spec: Raw) -> tuple[Toleration, ...]:
    return tuple(_toleration(raw) for raw in _list(spec.get("tolerations")))


def _toleration(raw: Raw) -> Toleration:
    operator = raw.get("operator") or "Equal"
    if operator not in ("Equal", "Exists"):
        raise _Unknown
    value = None if operator == "Exists" else _text(raw.get("value", ""))
    return Toleration(key=_text(raw.get("key", "")), value=value, effect=_text(raw.get("effect", "")))


def _spreads(spec: Raw) -> tuple[Spread, ...]:
    hard = (
        s
        for s in _list(spec.get("topologySpreadConstraints"))
        if s.get("whenUnsatisfiable") != "ScheduleAnyway"
    )
    return tuple(_spread(raw) for raw in hard)


def _spread(raw: Raw) -> Spread:
    selector, skew = fields(raw.get("labelSelector")), raw.get("maxSkew")
    if raw.keys() - _SPREAD or selector.keys() - {"matchLabels"} or not isinstance(skew, int):
        raise _Unknown
    labels = _labels(selector.get("matchLabels"))
    return Spread(topology_key=_text(raw.get("topologyKey")), max_skew=skew, labels=labels)


def _list(raw: Any) -> list[Mapping[str, Any]]:
    """A list of objects; what is something else is not understood."""
    found = entries(raw)
    if raw is not None and (not isinstance(raw, list) or len(found) != len(raw)):
        raise _Unknown
    return found


def _text(raw: Any) -> str:
    found = text(raw)
    if found is None:
        raise _Unknown
    return found


def _texts(raw: Any) -> tuple[str, ...]:
    if raw is None:
        return ()
    if not isinstance(raw, list):
        raise _Unknown
    return tuple(_text(value) for value in raw)
