"""Traffic of many kinds through the node port while routers, nodes and operator come and go: nothing may be lost."""

import secrets
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from millpond.demo.requests.accounts import faults, read_ledgers
from millpond.demo.requests.answers import Answer, read_answers
from millpond.demo.requests.tally import Outcome
from millpond.local.processes.process import Process, launch

from kind.shop import Shop
from waiting import eventually

RATE = 200
"""Requests a second."""
SESSION_S = 4.0
_LONGEST_S = 1500


@dataclass
class Flow:
    shop: Shop
    process: Process
    answers_file: Path
    prefix: str
    began_s: float

    @classmethod
    @contextmanager
    def run(cls, shop: Shop, folder: Path) -> Iterator[Self]:
        prefix = f"k{secrets.token_hex(3)}"
        answers, out = folder / "answers.jsonl", folder / "seconds.jsonl"
        argv = ["--target", shop.url, "--host", shop.host, "--rate", str(RATE), "--seconds", str(_LONGEST_S)]
        argv += ["--id-prefix", prefix, "--session-s", str(SESSION_S), "--out", str(out)]
        argv += ["--answers", str(answers)]
        command = [sys.executable, "-m", "millpond.demo.requests.traffic", *argv]
        process = launch("traffic", command, cluster_id=prefix, log_path=folder / "traffic.log", env={})
        flow = cls(shop, process, answers, prefix, time.monotonic())
        try:
            flow.goes_on(3)
            yield flow
        finally:
            process.kill()

    def answers(self) -> Sequence[Answer]:
        return read_answers(self.answers_file) if self.answers_file.exists() else []

    def goes_on(self, seconds: int) -> None:
        """So many seconds more of requests were answered, and none of all until now has failed."""
        until = len(self.answers()) + seconds * RATE
        eventually(
            lambda: len(self.answers()) >= until or self._ended(), 60 + seconds, "requests are answered"
        )
        failed = [a for a in self.answers() if a.outcome is not Outcome.OK or a.mismatch]
        now_s = time.monotonic() - self.began_s
        assert not failed, f"now: {now_s:.0f} s; {len(failed)} failed: {[a.to_json() for a in failed[:5]]}"

    def _ended(self) -> bool:
        assert self.process.alive, f"the traffic ended: {self.process.log_tail()}"
        return False

    def end(self) -> int:
        """How many there were: every one was answered, and worked on exactly once, and no session changed edition."""
        self.process.terminate()
        assert self.process.wait(60), "the traffic ends"
        answers = self.answers()
        found = faults(answers, read_ledgers(self.shop.books, self.prefix), one_server=False)
        assert not found, "\n".join([f"of {len(answers)} requests", *found])
        return len(answers)
