"""Traffic of many kinds on an app of the test cluster, and afterwards: was anything lost?

with Traffic.run(product, namespace) as traffic:
    ...                    # whatever Millpond does to servers
# every request was answered 2xx and worked on exactly once, every session stayed where it was
"""

import json
import secrets
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from millpond.demo.requests.accounts import faults, read_ledgers
from millpond.demo.requests.answers import Answer, read_answers
from millpond.local.cluster.embedded import Process

from e2e.product import Product, Raw, elastic_app, template
from waiting import eventually

RATE = 200
"""Requests a second: two cores that also run the control plane, routers and servers carry them."""
SESSION_S, SLOW_MS = 2.0, 1500
"""The longest session, and the slow requests. A drain that waits for sessions lasts about as long as both."""


def app(product: Product, namespace: str, edition: str = "v1", **spec: Any) -> Raw:
    """Its servers have slots for any traffic, and keep ledgers; sessions are bound, and drains wait for them."""
    env = {"EDITION": edition, "LEDGER_DIR": str(product.ledgers), "SLOTS": "200", "SERVICE_TIME_MS": "20"}
    kept = {"affinity": {"cookie": "MILLPOND"}, "drain": {"timeout": "30s", "sessionTimeout": "2s"}}
    return elastic_app(namespace, edition=edition, template=template(**env), **{**kept, **spec})


@dataclass
class Traffic:
    product: Product
    process: Process
    out: Path
    answers_file: Path
    targets: Path
    prefix: str

    @classmethod
    @contextmanager
    def run(
        cls,
        product: Product,
        namespace: str,
        *,
        rate: float = RATE,
        seconds: float = 240,
        before_s: int = 3,
        after_s: int = 3,
        routers: Sequence[str] = ("r1",),
        one_edition: bool = True,
        one_server: bool = True,
        **options: float,
    ) -> Iterator[Self]:
        """Flows `before_s` before the block is entered and `after_s` after it, at most `seconds` altogether.

        `options`: those of `millpond.demo.requests.traffic`, as slow=0.1. `one_edition`, `one_server`: of a session.
        """
        traffic = cls._start(product, f"web.{namespace}.test", rate, seconds, routers, options)
        try:
            traffic.flow(before_s)
            yield traffic
            traffic.flow(after_s)
            traffic.process.terminate()
            traffic.verify(one_edition=one_edition, one_server=one_server)
        finally:
            traffic.process.kill()

    @classmethod
    def _start(
        cls,
        product: Product,
        host: str,
        rate: float,
        seconds: float,
        routers: Sequence[str],
        options: dict[str, float],
    ) -> Self:
        prefix = f"t{secrets.token_hex(4)}"
        out, answers, targets = (
            product.folder / f"{prefix}.{what}" for what in ("out", "answers", "targets")
        )
        _list(targets, product, routers)
        argv = ["--target", f"@{targets}", "--host", host, "--id-prefix", prefix, "--out", str(out)]
        argv += ["--answers", str(answers), "--rate", str(rate), "--seconds", str(seconds)]
        for name, value in {"session_s": SESSION_S, "slow_ms": SLOW_MS, **options}.items():
            argv += [f"--{name.replace('_', '-')}", str(value)]
        command = [sys.executable, "-m", "millpond.demo.requests.traffic", *argv]
        process = product.cluster.run(f"traffic-{prefix}", command)
        return cls(product, process, out, answers, targets, prefix)

    def to(self, *routers: str) -> None:
        """From now on requests go to these routers in turn; those on their way go on."""
        _list(self.targets, self.product, routers)

    def flow(self, seconds: int) -> None:
        """Wait until so many seconds more of traffic are over."""
        until = self._lines() + seconds
        eventually(lambda: self._lines() > until or self._ended(), 30 + seconds, "the traffic flows")

    def _lines(self) -> int:
        return len(self.out.read_text().splitlines()) if self.out.exists() else 0

    def _ended(self) -> bool:
        assert self.process.alive, f"the traffic ended too early: {self.process.log_tail()}"
        return False

    def answers(self) -> Sequence[Answer]:
        """So far."""
        return read_answers(self.answers_file)

    def totals(self) -> Raw:
        eventually(lambda: not self.process.alive, 60, "the traffic ends")
        last: Raw = json.loads(self.out.read_text().splitlines()[-1])
        assert "sent" in last, self.process.log_tail()
        return last

    def verify(self, *, one_edition: bool = True, one_server: bool = True) -> None:
        """Nothing was lost, doubled or moved; else the first offending ids with server and second."""
        totals, answers = self.totals(), self.answers()
        assert totals["unsent"] == 0, f"this machine is too slow for the traffic: {totals}"
        assert len(answers) == totals["sent"] > 0
        ledgers = read_ledgers(self.product.ledgers, self.prefix)
        found = faults(answers, ledgers, one_edition=one_edition, one_server=one_server)
        assert not found, "\n".join([f"of {totals['sent']} requests", *found])


def _list(targets: Path, product: Product, routers: Sequence[str]) -> None:
    """In one go: it is read before each request."""
    fresh = targets.with_suffix(".new")
    fresh.write_text("\n".join(f"http://{product.addresses[name]}" for name in routers))
    fresh.rename(targets)
