"""What whoever writes to the cluster needs."""

from collections.abc import Callable
from dataclasses import dataclass

from millpond.clock import Clock
from millpond.control.observe.world import World
from millpond.kube.client import Api
from millpond.kube.events import Events


def _nobody(app: str, requests: int, streams: int) -> None:
    pass


@dataclass(slots=True)
class Access:
    """``may_act`` is asked right before each destructive write."""

    api: Api
    world: World
    events: Events
    clock: Clock
    may_act: Callable[[], bool]
    on_cut: Callable[[str, int, int], None] = _nobody  # told of each app's unfinished requests and streams
