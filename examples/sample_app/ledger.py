"""Which request ids were worked on, and how often: a lost or doubled request shows here."""

import os
from collections import Counter
from collections.abc import Mapping
from typing import Protocol, TextIO

ID_HEADERS = ("X-Client-Request-Id", "X-Request-Id")  # routers replace the latter by an id of their own
MAX_IDS = 1_000_000


class HasHeaders(Protocol):
    @property
    def headers(self) -> Mapping[str, str]: ...


def request_id(request: HasHeaders) -> str | None:
    """What its sender calls it."""
    return next((request.headers[name] for name in ID_HEADERS if request.headers.get(name)), None)


class Ledger:
    """An id is entered as its work begins: what a server had half done when it was killed counts, too.

    With a folder each id is also a line of the file `<server>-<process id>.log` there, which outlives the process
    however that ends. Raises OSError when the file cannot be opened.
    """

    def __init__(self, server: str, folder: str = "") -> None:
        self.counts: Counter[str] = Counter()
        self.total = 0
        self.without_id = 0
        self._file: TextIO | None = None
        if folder:
            path = os.path.join(folder, f"{server}-{os.getpid()}.log")
            self._file = open(path, "a", buffering=1)  # noqa: SIM115 (open as long as the process)

    def enter(self, request_id: str | None) -> None:
        self.total += 1
        if not request_id:
            self.without_id += 1
            return
        if request_id in self.counts or len(self.counts) < MAX_IDS:
            self.counts[request_id] += 1
        if self._file:
            self._file.write(request_id + "\n")  # line buffered: the kernel has it before the work begins

    def summary(self) -> dict[str, int]:
        repeated = sum(self.counts.values()) - len(self.counts)
        return {
            "total": self.total,
            "ids": len(self.counts),
            "duplicates": repeated,
            "without_id": self.without_id,
        }
