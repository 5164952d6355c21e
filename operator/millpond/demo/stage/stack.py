"""Where a demo plays: a cluster with Millpond and an example on it. embedded.py and kind/ have one each."""

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from millpond.demo.requests.accounts import Processed
from millpond.local.processes.process import Process

Say = Callable[[str], None]


class StackError(Exception):
    """A part did not come up; the message has its last words."""


class Admin(Protocol):
    """Somebody with the rights of a cluster's administrator."""

    @property
    def kubeconfig(self) -> Path: ...

    def kubectl(self, *args: str, stdin: str | None = None) -> str:
        """What kubectl prints. Raises KubectlError with what it complains about."""


class Stack(Admin, Protocol):
    """A running stack; `stop` (or the end of the with block) ends all that was started for it."""

    @property
    def keeps_books(self) -> bool:
        """Whether `processed` can be known here."""

    @property
    def folder(self) -> Path:
        """For what the load writes, and for logs. Gone after `stop`."""

    @property
    def url(self) -> str:
        """Where the routers listen; the Host header chooses the app."""

    def routed(self) -> int | None:
        """Requests to apps that the routers have counted so far; None when one of them does not answer."""

    def processed(self) -> Processed:
        """What the servers wrote down about the load's requests; empty when they do not."""

    def start_load(self, out: Path, answers: Path) -> Process:
        """The load of the scenario in a process of its own; its lines go to `out`, a script's also to `answers`."""

    def explanation(self) -> str:
        """What helps to find out why something does not work: states and the ends of logs."""

    def stop(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, trace: TracebackType | None
    ) -> None: ...
