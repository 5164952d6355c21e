"""Brings all apps' routes to the routers, and keeps what was published of an app that is not looked at or fails."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from millpond.control.guard.each import Each
from millpond.control.observe.objects import Pod
from millpond.control.outcome import NOT_PUBLISHED
from millpond.control.resolve.record import Record
from millpond.control.routing.gates import wanted_gate
from millpond.control.routing.routes import app_routes, renewed
from millpond.router.config import AppRoutes
from millpond.router.xds.control import Published, RouterControl

_ROUTERS = ""  # no app has such a key


@dataclass(slots=True, kw_only=True)
class Publisher:
    each: Each
    routers: RouterControl
    routes: Mapping[str, AppRoutes] = field(default_factory=dict)

    def publish(self, records: Mapping[str, Record], due: Collection[str]) -> Published:
        """``due``: apps whose routes may be others than before. Of an app that fails, the last routes with the servers
        of now."""
        last, faults = self.routes, self.each.faults
        found = self.each.look("routes", due, lambda key: app_routes(records[key]))
        failed = [key for key in due if key in faults.now and found.get(key) is None and key in last]
        kept = self.each.look("routes", failed, lambda key: renewed(last[key], records[key].held))
        stand = {key: last[key] for key in (*(records.keys() - set(due)), *failed) if key in last}
        routes = stand | kept | {key: routes for key, routes in found.items() if routes is not None}
        self.routes = {key: routes[key] for key in records if key in routes}
        with faults.guard(_ROUTERS, "publish"):
            return self.routers.publish(self.routes)
        return NOT_PUBLISHED

    def gates(self, record: Record, published: Published) -> Iterator[tuple[Pod, bool]]:
        """Servers whose readiness gate says something else than the routers."""
        routes, routed = self.routes.get(record.key), record.key in published.routed
        for pod in record.pods:
            gate = wanted_gate(pod, routes, routed)
            if gate is not None and gate != pod.gate:
                yield pod, gate
