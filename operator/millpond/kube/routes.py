"""From pods to what the routers should know: which servers get requests, which only finish theirs."""

from collections.abc import Iterable

from millpond.kube.objects import Pod
from millpond.kube.resolve import Candidate
from millpond.kube.world import Holdings
from millpond.router.config import AppRoutes, EditionRoute, Endpoint, Match


def app_routes(app: Candidate, holdings: Holdings) -> AppRoutes | None:
    """Routes of one app; None when it has nothing to route (no valid spec, no edition yet, or no host of its own).

    A server gets requests as soon as its containers are ready; being routed is what makes it Ready. A victim or a pod
    that is being deleted stays as a draining endpoint, so that its requests and sessions can finish.
    """
    spec = app.spec
    if spec is None or not holdings.editions:
        return None
    matches = tuple(
        Match(host=r.host, path_prefix=r.path_prefix) for r in spec.routes if r.host not in app.contested
    )
    if not matches:
        return None
    return AppRoutes(
        key=app.key,
        matches=matches,
        editions=tuple(
            EditionRoute(
                name=name,
                endpoints=_endpoints(holdings.pods_of(name), spec.port),
                weight=100 if name == active_edition(app, holdings) else 0,
            )
            for name in sorted(holdings.editions)
            if name == active_edition(app, holdings) or holdings.pods_of(name)
        ),
        affinity_cookie=spec.affinity.cookie if spec.affinity else None,
    )


def active_edition(app: Candidate, holdings: Holdings) -> str | None:
    """The edition that gets new requests: the one whose status says Active, else the one that spec names."""
    active = [n for n, raw in holdings.editions.items() if (raw.get("status") or {}).get("state") == "Active"]
    named = app.spec.edition if app.spec else None
    if named in active or not active:
        return named if named in holdings.editions else next(iter(sorted(holdings.editions)), None)
    return sorted(active)[0]


def _endpoints(pods: Iterable[Pod], port: int) -> tuple[Endpoint, ...]:
    return tuple(
        sorted(
            (
                Endpoint(address=p.address, port=port, draining=is_draining(p))
                for p in pods
                if p.address and (p.containers_ready or (is_draining(p) and p.started))
            ),
            key=lambda e: (e.address, e.port),
        )
    )


def is_draining(pod: Pod) -> bool:
    return pod.retire is not None or pod.deleting
