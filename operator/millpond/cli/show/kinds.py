"""The kinds that `get` knows: their names, where they are, and the columns that people look at."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from millpond.api import names
from millpond.api.checks.resource import Resource
from millpond.api.kinds import dynamicpool, edition, elasticapp, slapolicy
from millpond.cli.output import NOTHING, age, cell, labels
from millpond.cli.releases import Missing, said
from millpond.cli.show import appview
from millpond.clock import from_rfc3339
from millpond.kube import paths
from millpond.kube.client import Api, Object
from millpond.kube.errors import ApiError, Forbidden, NotFound

Says = Callable[[Object, float], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """``says(object, now_s)``: what stands in it; None and empty: a dash."""

    name: str
    says: Says
    wide: bool = False
    colour: Callable[[str], str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    noun: str
    resource: Resource[Any]
    path: Callable[[str | None, str | None], str]
    columns: Sequence[Column]
    order: Callable[[Object], tuple[str, ...]] = lambda obj: (_name(obj),)

    @property
    def words(self) -> frozenset[str]:
        """Whatever a person may call it."""
        kind, resource = self.resource.kind.lower(), self.resource
        qualified = f"{resource.plural}.{names.GROUP}"
        singular = {"policies": "policy"}.get(self.noun, self.noun.removesuffix("s"))
        return frozenset({self.noun, singular, kind, resource.plural, qualified, *resource.short})

    @property
    def full_name(self) -> str:
        return f"{self.resource.kind.lower()}.{names.GROUP}"


def _path(obj: str, *way: str) -> Says:
    """What stands at this way into ``obj`` (spec, status, metadata)."""

    def says(found: Object, _: float) -> object:
        value: Any = found.get(obj) or {}
        for key in way:
            value = value.get(key) if isinstance(value, dict) else None
        return value

    return says


def _name(obj: Object) -> str:
    return str(obj["metadata"]["name"])


def _age(obj: Object, now_s: float) -> str:
    return age(now_s - from_rfc3339(obj["metadata"]["creationTimestamp"]))


def _goal(policy: Object, _: float) -> str:
    goal = policy["spec"]["goal"]
    what = {"averageResponseTime": "average", "percentileResponseTime": f"p{goal.get('percentile')}"}
    return f"{what[goal['type']]} ≤ {goal['target']}" if goal["type"] in what else "none"


def _namespaces(obj: Object, _: float) -> str:
    allowed = obj["spec"].get("allowedNamespaces")
    return "all" if allowed is None else ",".join(allowed)


def _image(found: Object, _: float) -> str:
    containers = found["spec"]["template"]["spec"].get("containers") or ()
    return ",".join(str(c.get("image", NOTHING)) for c in containers)


AGE = Column(name="Age", says=_age)
NAMESPACE = Column(name="Namespace", says=_path("metadata", "namespace"))
_APPS = (
    Column(name="App", says=_path("metadata", "name")),
    Column(name="Phase", says=lambda app, _: appview.phase(app), colour=appview.phase_colour),
    Column(name="Goal", says=_path("status", "goal")),
    Column(name="Response", says=appview.response),
    Column(name="Desired", says=_path("status", "servers", "desired")),
    Column(name="Serving", says=_path("status", "servers", "ready")),
    Column(name="Min", says=_path("spec", "servers", "min")),
    Column(name="Max", says=_path("spec", "servers", "max")),
    Column(name="Edition", says=lambda app, _: appview.edition(app)),
    AGE,
    Column(name="Limiting", says=lambda app, _: appview.limiting(app), wide=True),
    Column(name="Draining", says=_path("status", "servers", "draining"), wide=True),
    Column(name="Paused until", says=lambda app, _: appview.paused_until(app), wide=True),
    Column(name="Rollout", says=lambda app, _: appview.rollout(app), wide=True),
    Column(name="Host", says=lambda app, _: appview.host(app), wide=True),
    Column(name="Last decision", says=appview.last_decision, wide=True),
)
_EDITIONS = (
    Column(name="Name", says=_path("metadata", "name")),
    Column(name="App", says=_path("spec", "app")),
    Column(name="Edition", says=_path("spec", "edition")),
    Column(name="State", says=_path("status", "state")),
    Column(name="Servers", says=_path("status", "replicas")),
    AGE,
    Column(name="Images", says=_image, wide=True),
    Column(name="Hash", says=_path("spec", "templateHash"), wide=True),
)
_POOLS = (
    Column(name="Pool", says=_path("metadata", "name")),
    Column(name="Zone", says=_path("spec", "zone")),
    Column(name="Nodes", says=_path("status", "nodes")),
    Column(name="Apps", says=_path("status", "apps")),
    Column(name="Servers", says=_path("status", "servers")),
    AGE,
    Column(name="Selector", says=lambda pool, _: labels(pool["spec"].get("nodeSelector")), wide=True),
    Column(name="Namespaces", says=_namespaces, wide=True),
)
_POLICIES = (
    Column(name="Policy", says=_path("metadata", "name")),
    Column(name="Goal", says=_goal),
    Column(name="Importance", says=_path("spec", "importance")),
    Column(name="Class", says=_path("spec", "class")),
    AGE,
    Column(name="Violation period", says=_path("spec", "violationPeriod"), wide=True),
    Column(name="Namespaces", says=_namespaces, wide=True),
)

APPS = Kind(noun="apps", resource=elasticapp.RESOURCE, path=paths.elasticapps, columns=_APPS)
EDITIONS = Kind(
    noun="editions",
    resource=edition.RESOURCE,
    path=paths.editions,
    columns=_EDITIONS,
    order=lambda obj: (obj["spec"]["app"], obj["metadata"]["creationTimestamp"], _name(obj)),
)
POOLS = Kind(
    noun="pools",
    resource=dynamicpool.RESOURCE,
    path=lambda _, name: paths.dynamicpools(name),
    columns=_POOLS,
)
POLICIES = Kind(
    noun="policies",
    resource=slapolicy.RESOURCE,
    path=lambda _, name: paths.slapolicies(name),
    columns=_POLICIES,
)
KINDS = (APPS, EDITIONS, POOLS, POLICIES)


def kind_of(word: str) -> Kind | None:
    return next((kind for kind in KINDS if word.lower() in kind.words), None)


def row(columns: Sequence[Column], obj: Object, now_s: float) -> list[str]:
    return [cell(column.says(obj, now_s)) for column in columns]


async def find(api: Api, kind: Kind, namespace: str, name: str) -> Object:
    """The object of this name; Missing names those that exist."""
    try:
        return await api.get(kind.path(namespace, name))
    except NotFound:
        pass
    place = f" in namespace {namespace!r}" if kind.resource.namespaced else ""
    there = f" (there: {await _others(api, kind, namespace)})"
    if place and await no_namespace(api, namespace):
        raise Missing(f"no namespace {namespace!r}")
    raise Missing(f"no {kind.resource.kind} {name!r}{place}{there}")


async def _others(api: Api, kind: Kind, namespace: str) -> str:
    try:
        found = (await api.list(kind.path(namespace, None))).objects
    except NotFound as error:
        raise not_installed(error) from error
    except Forbidden:
        return "those you may not list"
    return ", ".join(sorted(map(_name, found))) or "none"


def not_installed(error: NotFound) -> Missing:
    return Missing(f"{said(error)}: are Millpond's custom resources installed?")


async def no_namespace(api: Api, namespace: str) -> bool:
    """Whether it certainly does not exist: a tenant may not be allowed to ask."""
    try:
        await api.get(paths.namespaces(namespace))
    except NotFound:
        return True
    except ApiError:
        return False
    return False
