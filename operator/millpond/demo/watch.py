"""What the API server says about one app while the demo runs: every order as it is written, servers, decisions."""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from millpond.api.names import LABEL_APP
from millpond.clock import Clock, from_rfc3339
from millpond.control.observe.headcount import Servers, by_edition, count
from millpond.control.observe.objects import Pod, pod
from millpond.demo.recording import Decision, Order
from millpond.demo.takeovers import Takeovers
from millpond.kube import paths
from millpond.kube.cache import Reflector
from millpond.kube.client import Api, Object


@dataclass(slots=True)
class History:
    """What happened so far. Times are seconds since the epoch here."""

    orders: list[Order] = field(default_factory=list)
    decisions: dict[str, Decision] = field(default_factory=dict)

    def order(self, servers: int, now_s: float) -> None:
        if not self.orders or self.orders[-1].servers != servers:
            self.orders.append(Order(t_s=now_s, servers=servers))

    def decide(self, entries: list[Mapping[str, Any]]) -> None:
        """Adds the entries of status.decisions (newest first) that are new."""
        for entry in reversed(entries):
            key = "|".join(
                str(entry.get(k)) for k in ("at", "edition", "action", "reason", "wanted", "message")
            )
            self.decisions.setdefault(key, _decision(entry))

    def orders_since(self, start_s: float) -> tuple[Order, ...]:
        """With times counted from `start_s`; the order that stood then is the first."""
        later = [o for o in self.orders if o.t_s > start_s]
        standing = [o for o in self.orders if o.t_s <= start_s][-1:]
        first = tuple(Order(t_s=0.0, servers=o.servers) for o in standing)
        return first + tuple(Order(t_s=o.t_s - start_s, servers=o.servers) for o in later)


def _decision(entry: Mapping[str, Any]) -> Decision:
    return Decision(
        t_s=from_rfc3339(entry["at"]),
        action=entry["action"],
        reason=entry["reason"],
        servers=entry["servers"],
        wanted=entry["wanted"],
        needed=entry.get("needed"),
        message=entry.get("message", ""),
        inputs=entry.get("inputs", {}),
    )


class Watch:
    """Follows one app; use as an async context manager."""

    def __init__(self, api: Api, namespace: str, app: str, clock: Clock) -> None:
        self.history = History()
        self.takeovers = Takeovers(clock)
        self._clock = clock
        self._key = f"{namespace}/{app}"
        ours = f"{LABEL_APP}={app}"
        self._apps = self._reflect(api, paths.elasticapps(namespace), None, self._note_app)
        self._sets = self._reflect(api, paths.replicasets(namespace), ours, self._note_order)
        self._pods: Reflector[Pod] = Reflector(
            api, paths.pods(namespace), ours, keep=pod, on_change=self._note_pods
        )

    @staticmethod
    def _reflect(api: Api, path: str, selector: str | None, changed: Callable[[], None]) -> Reflector[Object]:
        return Reflector(api, path, selector, keep=lambda obj: obj, on_change=changed)

    async def __aenter__(self) -> Self:
        for reflector in (self._apps, self._sets, self._pods):
            reflector.start()
            await reflector.wait_synced()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, _: object, trace: TracebackType | None
    ) -> None:
        for reflector in (self._apps, self._sets, self._pods):
            with contextlib.suppress(Exception):
                await reflector.stop()

    def _note_order(self) -> None:
        self.history.order(self._ordered(), self._clock())

    def _note_app(self) -> None:
        self.history.decide(self.status.get("decisions", []))
        if app := self._apps.store.get(self._key):
            self.takeovers.note_app(app)

    def _note_pods(self) -> None:
        self.takeovers.note_pods(self._all_pods())

    def _ordered(self) -> int:
        return sum(rs["spec"].get("replicas", 1) for rs in self._sets.store.items().values())

    @property
    def status(self) -> Object:
        app = self._apps.store.get(self._key)
        return dict(app.get("status", {})) if app else {}

    @property
    def servers(self) -> Servers:
        return count(self._all_pods(), self._ordered())

    @property
    def editions(self) -> Mapping[str, Servers]:
        """Of each edition that has any."""
        return by_edition(self._all_pods())

    def _all_pods(self) -> list[Pod]:
        return list(self._pods.store.items().values())
