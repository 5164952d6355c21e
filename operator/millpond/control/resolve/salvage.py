"""What can still be read of a spec that as a whole cannot, so that its requests go on being routed.

Specs become unreadable when the operator is rolled back, when CRDs are newer than it is, or when admission let pass
what it should not. Nothing is started, sized or rolled out by what is salvaged: only routing and drains look at it.
"""

from collections.abc import Iterator
from typing import Any

from millpond.api.kinds.elasticapp import ElasticAppSpec
from millpond.kube.raw import fields

Raw = dict[str, Any]

_LONGEST = "1h"  # a drain's time that cannot be read; its deadline is on the server already
# What stands in for everything that routing does not need.
_BLANK: Raw = {
    "pool": "unreadable",
    "sla": {"policy": "unreadable"},
    "servers": {"max": 1},
    "edition": "unreadable",
    "template": {"spec": {"containers": [{"name": "unreadable"}]}},
    "port": 1,
    "routes": [{"host": "unreadable.invalid"}],
}
_ROUTE = ("host", "pathPrefix")
_LIMITS = ("timeout", "idleTimeout")


def salvaged(spec: object) -> ElasticAppSpec | None:
    """The spec with what of it can be read, whatever it is; None without a port or any host to route to it."""
    there = fields(spec)
    routes = _routes(there.get("routes"))
    saved = _with(_BLANK, "port", there.get("port"))
    if not routes or saved is None:
        return None
    saved = _with(saved, "routes", routes) or _with(saved, "routes", routes[:1])
    if saved is None:
        return None
    for name, values in _FIELDS.items():
        found = (_with(saved, name, value) for value in values(there.get(name)))
        saved = next((tried for tried in found if tried is not None), saved)
    return _read(saved)


def _routes(routes: object) -> list[Raw]:
    """Those whose host and path can be read; with their time limits where those can. Of equal ones the first."""
    found: dict[tuple[str, str], Raw] = {}
    for route in routes if isinstance(routes, list | tuple) else ():
        kept = _of(route, *_ROUTE)
        if "host" not in kept or _with(_BLANK, "routes", [kept]) is None:
            continue
        for limit in _LIMITS:
            more = kept | _of(route, limit)
            kept = more if _with(_BLANK, "routes", [more]) is not None else kept
        found.setdefault((kept["host"], kept.get("pathPrefix", "/")), kept)
    return list(found.values())[:16]


def _whole(value: object) -> Iterator[object]:
    yield value


def _affinity(value: object) -> Iterator[object]:
    yield _of(value, "cookie")


def _drain(value: object) -> Iterator[object]:
    """Sessions whose end cannot be told are taken for as long as a drain may last."""
    yield value
    if _of(value, "sessionTimeout"):
        yield {"timeout": _LONGEST, "sessionTimeout": _LONGEST}


def _sla(value: object) -> Iterator[object]:
    """Who else serves the app counts its requests; routers do not."""
    yield value
    if _of(value, "source") == {"source": "prometheus"}:
        yield {"policy": "unreadable", "source": "prometheus", "prometheus": {"preset": "envoy"}}


def _rollout(value: object) -> Iterator[object]:
    """Who reaches the edition that comes."""
    preview = _of(_of(value, "preview").get("preview"), "header", "host")
    strategy = _of(value, "strategy", "steps")
    yield strategy | {"preview": preview}
    yield strategy | {"preview": _of(preview, "header")}
    yield strategy | {"preview": _of(preview, "host")}
    yield strategy


_FIELDS = {
    "edition": _whole,
    "protocol": _whole,
    "affinity": _affinity,
    "sla": _sla,
    "drain": _drain,
    "paused": _whole,
    "rollout": _rollout,
}


def _of(value: object, *names: str) -> Raw:
    """These fields of an object, as far as they are there; nothing of anything else."""
    there = fields(value)
    return {name: there[name] for name in names if name in there}


def _with(spec: Raw, name: str, value: object) -> Raw | None:
    """The spec with this field; None when it cannot be read so."""
    tried = spec | {name: value}
    return tried if value is not None and _read(tried) is not None else None


def _read(spec: Raw) -> ElasticAppSpec | None:
    try:
        return ElasticAppSpec.model_validate(spec)
    except Exception:  # a list of what a reader may say about anything at all would never be complete
        return None
