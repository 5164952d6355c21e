"""What a container is doing, as the API shows it, and what of it a restarted agent has to know."""

import os
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from millpond.local.node.containers.backoff import Backoff
from millpond.local.node.containers.processes import Process


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a run of a container ended. Times are seconds since the epoch."""

    exit_code: int
    reason: str  # Completed, Error, OOMKilled, StartError, ContainerStatusUnknown
    message: str = ""
    started_at_s: float
    finished_at_s: float
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """One run of a container."""

    process: Process
    started_at_s: float
    id: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why a container does not run."""

    reason: str
    message: str = ""


@dataclass(slots=True, kw_only=True)
class Container:
    """Exactly one of ``waiting``, ``running`` and ``ended`` is set."""

    name: str
    image: str
    waiting: Waiting | None = field(default_factory=lambda: Waiting("ContainerCreating"))
    running: Running | None = None
    ended: Ended | None = None
    last: Ended | None = None
    restarts: int = 0
    started: bool = False
    ready: bool = False
    backoff: Backoff = field(default_factory=Backoff)

    def wait(self, reason: str, message: str = "") -> None:
        self.waiting, self.running, self.ended = Waiting(reason, message), None, None
        self.started = self.ready = False

    def run(self, running: Running) -> None:
        self.waiting, self.running, self.ended = None, running, None

    def end(self, ended: Ended) -> None:
        self.waiting, self.running, self.ended = None, None, ended
        self.started = self.ready = False

    def save(self, file: Path) -> None:
        write_atomically(file, msgspec.json.encode(self))

    @classmethod
    def load(cls, file: Path) -> "Container | None":
        return msgspec.json.decode(file.read_bytes(), type=cls) if file.exists() else None


def write_atomically(file: Path, content: bytes) -> None:
    fresh = file.with_suffix(".new")
    fresh.write_bytes(content)
    os.replace(fresh, file)
