"""Who may do what: the one table that the matrix test tries out and that the chart's README shows."""

from collections.abc import Set
from dataclasses import dataclass

READ = frozenset({"get", "list", "watch"})
WRITE = frozenset({"create", "update", "patch", "delete", "deletecollection"})
ALL = READ | WRITE
APPROVE = "approve"
"""Ours: what the admission policy for approvals asks for."""
PART = frozenset({"get", "update", "patch"})
"""What can be done to a part of an object, such as its status."""

VIEW, EDIT, ADMIN, APPROVER, NOBODY, OPERATOR = "view", "edit", "admin", "approver", "nobody", "operator"
WHO = {
    VIEW: "`view` in the namespace",
    EDIT: "`edit` in the namespace",
    ADMIN: "`admin` in the namespace",
    APPROVER: "`millpond-approver` in the namespace",
    NOBODY: "any other user",
    OPERATOR: "the operator",
}

OWN, OTHER, HOME, CLUSTER = "own", "other", "home", "cluster"
PLACES = {
    OWN: "in the namespace",
    OTHER: "in another namespace",
    HOME: "in the release's namespace",
    CLUSTER: "in the whole cluster",
}


@dataclass(frozen=True)
class Resource:
    """What is asked for: `part` of the objects of a kind; `name` where the right is to one object of that name."""

    group: str
    plural: str
    part: str = ""
    name: str = ""
    namespaced: bool = True

    @property
    def verbs(self) -> Set[str]:
        if self.part:
            return PART
        return ALL | {APPROVE} if self.plural == "editions" else ALL

    @property
    def title(self) -> str:
        part = f"/{self.part}" if self.part else ""
        return f"{self.plural}{part}" + (f" `{self.name}`" if self.name else "")


_OURS = "millpond.dev"
APPS = Resource(_OURS, "elasticapps")
APP_STATUS, APP_SCALE = Resource(_OURS, "elasticapps", "status"), Resource(_OURS, "elasticapps", "scale")
EDITIONS, EDITION_STATUS = Resource(_OURS, "editions"), Resource(_OURS, "editions", "status")
POLICIES = Resource(_OURS, "slapolicies", namespaced=False)
POOLS = Resource(_OURS, "dynamicpools", namespaced=False)
POOL_STATUS = Resource(_OURS, "dynamicpools", "status", namespaced=False)
NODES = Resource("", "nodes", namespaced=False)
PODS, POD_STATUS, SECRETS = Resource("", "pods"), Resource("", "pods", "status"), Resource("", "secrets")
CERTIFICATES = Resource("", "secrets", name="millpond-xds-ca")
NAMESPACED = (APPS, APP_STATUS, APP_SCALE, EDITIONS, EDITION_STATUS, PODS, POD_STATUS, SECRETS)
CLUSTERED = (POLICIES, POOLS, POOL_STATUS, NODES)

Right = tuple[str, str, Resource, str]
"""Who, place, resource, verb."""


def _rights(who: str, place: str, granted: dict[Resource, Set[str]]) -> set[Right]:
    return {(who, place, resource, verb) for resource, verbs in granted.items() for verb in verbs}


def _everywhere(who: str, granted: dict[Resource, Set[str]]) -> set[Right]:
    """In any namespace; what concerns many objects at once, in all namespaces together as well."""
    many = {resource: verbs - {"deletecollection"} for resource, verbs in granted.items()}
    together = {resource: verbs & {"list", "watch"} for resource, verbs in many.items() if not resource.part}
    return _rights(who, OWN, many) | _rights(who, OTHER, many) | _rights(who, CLUSTER, together)


_CATALOG: dict[Resource, Set[str]] = {POLICIES: READ, POOLS: READ, POOL_STATUS: frozenset({"get"})}
_SEEN: dict[Resource, Set[str]] = {
    APPS: READ,
    APP_STATUS: frozenset({"get"}),
    APP_SCALE: frozenset({"get"}),
    EDITIONS: READ,
    EDITION_STATUS: frozenset({"get"}),
    PODS: READ,
    POD_STATUS: frozenset({"get"}),
}
_CHANGED: dict[Resource, Set[str]] = _SEEN | {APPS: ALL, APP_SCALE: PART, PODS: ALL, SECRETS: ALL}
_WRITTEN_STATUS = frozenset({"get", "patch"})

TABLE: frozenset[Right] = frozenset(
    set().union(*(_rights(who, CLUSTER, _CATALOG) for who in WHO))
    | _rights(VIEW, OWN, _SEEN)
    | _rights(EDIT, OWN, _CHANGED)
    | _rights(ADMIN, OWN, _CHANGED)
    | _rights(APPROVER, OWN, {EDITIONS: READ | {"patch", APPROVE}})
    | _everywhere(
        OPERATOR,
        {
            APPS: READ,
            APP_STATUS: _WRITTEN_STATUS,
            EDITIONS: READ | {"create", "delete"},
            EDITION_STATUS: _WRITTEN_STATUS,
            PODS: READ | {"patch"},
            POD_STATUS: frozenset({"patch"}),
        },
    )
    | _rights(OPERATOR, CLUSTER, {POOL_STATUS: _WRITTEN_STATUS, NODES: frozenset({"list", "watch"})})
    | _rights(
        OPERATOR,
        HOME,
        {
            PODS: READ | {"patch"},
            SECRETS: frozenset({"create"}),
            CERTIFICATES: frozenset({"get", "patch"}),
        },
    )
)


def asked() -> set[Right]:
    """Every verb that makes sense, for everybody, everywhere: what is not in TABLE must be refused."""
    rights: set[Right] = set()
    for who in WHO:
        for place in (OWN, OTHER):
            rights |= {(who, place, resource, verb) for resource in NAMESPACED for verb in resource.verbs}
        rights |= {(who, CLUSTER, resource, verb) for resource in CLUSTERED for verb in resource.verbs}
        whole = [resource for resource in NAMESPACED if not resource.part]
        rights |= {(who, CLUSTER, resource, verb) for resource in whole for verb in ("list", "watch")}
        rights |= {(who, HOME, resource, verb) for resource in (SECRETS, PODS) for verb in ALL}
        rights |= {
            (who, HOME, CERTIFICATES, verb) for verb in ALL - {"create", "list", "watch", "deletecollection"}
        }
    return rights
