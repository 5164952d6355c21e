"""Where a traffic's requests go: to one URL, or in turn to those of a file, as with a load balancer's list."""

from collections.abc import Sequence
from pathlib import Path

from millpond.demo.requests.openloop import check_target


class Targets:
    """Base URLs in turn. Raises ValueError for one off the loopback."""

    def __init__(self, given: str) -> None:
        self._file = Path(given[1:]) if given.startswith("@") else None
        self._seen: object = None
        self._urls = [] if self._file else _checked([given])
        self.next(0)

    def next(self, number: int) -> str:
        if self._file and (state := self._file.stat()) and (state.st_ino, state.st_mtime_ns) != self._seen:
            self._urls = _checked(self._file.read_text().split())
            self._seen = (state.st_ino, state.st_mtime_ns)
        return self._urls[number % len(self._urls)]


def _checked(urls: Sequence[str]) -> list[str]:
    if not urls:
        raise ValueError("targets: must be one or more")
    for url in urls:
        check_target(url)
    return [url.rstrip("/") for url in urls]
