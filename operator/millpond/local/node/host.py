"""What all pods of a node share."""

from dataclasses import dataclass

from millpond.clock import Clock
from millpond.local.node.api import Api
from millpond.local.node.asking import Asker
from millpond.local.node.config import NodeConfig
from millpond.local.node.events import Events


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    config: NodeConfig
    api: Api
    asker: Asker
    events: Events
    clock: Clock

    def entrypoint(self, image: str) -> tuple[str, ...] | None:
        """The argv known for an image, by its full name or without tag and digest."""
        bare = image.partition("@")[0]
        head, slash, tail = bare.rpartition("/")
        bare = head + slash + tail.partition(":")[0]
        return self.config.images.get(image) or self.config.images.get(bare)
