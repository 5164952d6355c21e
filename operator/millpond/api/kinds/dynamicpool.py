"""DynamicPool: the nodes that apps share."""

from collections.abc import Mapping
from typing import Any

from millpond.api import names
from millpond.api.checks.fields import Namespaces, NodeLabels
from millpond.api.checks.model import Model, StatusModel
from millpond.api.checks.resource import AGE, Column, Resource
from millpond.api.kinds.windows import ChangeWindows
from millpond_policies.world.nodes import Zone as Zone


class DynamicPoolSpec(Model):
    """Which nodes, and who may use them."""

    node_selector: NodeLabels
    """The labels of the pool's nodes, such as millpond.dev/pool: main. Servers run only on nodes that have
    all of them; {} means every node."""
    zone: Zone = Zone.DYNAMIC
    """Dynamic: Millpond decides how many servers each app has. Static: the servers are allocated by hand;
    they are reported and never resized."""
    allowed_namespaces: Namespaces | None = None
    """The namespaces whose apps may use this pool; absent: all of them."""
    change_windows: ChangeWindows | None = None
    """Rollouts of the apps in this pool start only inside one of these windows; absent: at any time."""

    def allows(self, namespace: str) -> bool:
        return self.allowed_namespaces is None or namespace in self.allowed_namespaces


class DynamicPoolStatus(StatusModel):
    """What the pool holds."""

    nodes: int | None = None
    """Nodes in the pool."""
    apps: int | None = None
    """Elastic apps that use the pool."""
    servers: int | None = None
    """Servers that run in the pool."""


RESOURCE = Resource(
    kind=names.DYNAMICPOOL,
    short=("pool", "dpool"),
    namespaced=False,
    description="Nodes that elastic apps share.",
    spec=DynamicPoolSpec,
    status=DynamicPoolStatus,
    columns=(
        Column(name="Zone", path=".spec.zone", description="Dynamic or Static."),
        Column(name="Nodes", path=".status.nodes", type="integer", description="Nodes in the pool."),
        Column(name="Apps", path=".status.apps", type="integer", description="Apps that use the pool."),
        Column(name="Servers", path=".status.servers", type="integer", description="Servers that run in it."),
        AGE,
        Column(
            name="Selector",
            path=".spec.nodeSelector",
            wide=True,
            description="The labels of its nodes.",
        ),
        Column(
            name="Namespaces",
            path=".spec.allowedNamespaces",
            wide=True,
            description="Who may use it; empty: everybody.",
        ),
    ),
)


def parse(raw: Mapping[str, Any]) -> DynamicPoolSpec:
    """The spec of a whole DynamicPool object; SpecError lists what is wrong."""
    return RESOURCE.parse(raw)
