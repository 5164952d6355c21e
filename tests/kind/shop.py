"""The app of examples/rollout on the kind cluster, unchanged; its servers write down what they work on."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from millpond.demo import scenario
from millpond.demo.kind import books
from millpond.demo.kind.example import Example
from millpond.demo.kind.release import Release
from millpond.demo.stage.served import wait_until_served

Say = Callable[[str], None]


@dataclass
class Shop:
    release: Release
    url: str
    books: Path
    host: str

    @classmethod
    @contextmanager
    def run(cls, release: Release, url: str, say: Say) -> Iterator[Self]:
        """Served; afterwards whatever is left of it goes."""
        cluster, plan, name = release.cluster, scenario.load("rollout"), f"test-{secrets.token_hex(3)}"
        assert cluster.books is not None
        folder = cluster.books / name
        folder.mkdir()
        folder.chmod(0o777)
        example = Example(cluster, plan, say)
        example.check()
        try:
            example.make_namespace()
            books.keep(cluster, plan.namespace, name)
            example.apply()
            wait_until_served(_Seen(release, url), plan, lambda: None, say)  # type: ignore[arg-type]
            yield cls(release, url, folder, plan.host)
        finally:
            books.end(cluster)
            example.remove()

    def kubectl(self, *args: str) -> str:
        return self.release.cluster.kubectl(*args)


@dataclass
class _Seen:
    release: Release
    url: str

    def kubectl(self, *args: str) -> str:
        return self.release.cluster.kubectl(*args)
