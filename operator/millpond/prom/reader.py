"""Asks Prometheus from asyncio: answers within the deadline, whatever Prometheus does."""

import asyncio
import math
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from millpond.clock import Clock, now_s
from millpond.prom.client import Client, Unreachable
from millpond.prom.errors import PromRejected, PromUnavailable

REST_S = 2.0
IMPLAUSIBLE = 1e15


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One series of an instant query's answer."""

    labels: Mapping[str, str]
    value: float
    """Always finite; series that are NaN or infinite are not returned."""
    at_s: float
    """When Prometheus evaluated the query. The sample may be older: ask for ``timestamp(metric)``."""


def known(value: float | None) -> float | None:
    """The value when it can be an amount of something; None (unknown) when negative or beyond any machine."""
    return value if value is not None and 0 <= value <= IMPLAUSIBLE else None


class PromReader:
    """Instant queries to one Prometheus, ``connections`` at a time, each within ``deadline_s`` in all.

    After a question that nobody answered, others fail at once for ``REST_S``; then one is let through to see.
    """

    def __init__(
        self,
        url: str,
        *,
        deadline_s: float = 5.0,
        clock: Clock = now_s,
        connections: int = 4,
        most_bytes: int = 8 * 1024 * 1024,
        ca_file: str | None = None,
    ) -> None:
        parsed = urlsplit(url)
        if parsed.scheme not in ("http", "https") or not parsed.hostname:
            raise ValueError(f"Prometheus URL {url!r}: must be http:// or https:// with a host")
        self.clock = clock
        self._deadline_s = deadline_s
        self._url = url.rstrip("/")
        self._limits = {"most_bytes": most_bytes, "ca_file": ca_file}
        self._free: asyncio.Queue[Client | None] = asyncio.Queue()
        for _ in range(connections):
            self._free.put_nowait(None)
        self._busy: set[Client] = set()
        self._rests_until_s: float | None = None
        self._why = ""
        self._closed = False

    async def query(self, promql: str) -> tuple[Series, ...]:
        """The series of an instant query that have a number. Raises PromUnavailable or PromRejected."""
        loop = asyncio.get_running_loop()
        ends_s = loop.time() + self._deadline_s
        self._admit(loop.time())
        client = await self._client(ends_s)
        try:
            series = _series(await self._ask(client, promql, ends_s))
        except Unreachable as error:
            self._rest(loop.time(), str(error))
            raise
        except (PromUnavailable, PromRejected):
            self._rests_until_s = None  # somebody is there
            raise
        self._rests_until_s = None
        return series

    async def close(self) -> None:
        """Ends the threads; what is still being asked fails. Waits for nothing."""
        self._closed = True
        for client in self._busy:
            client.stop()
        while not self._free.empty():
            free = self._free.get_nowait()
            if free:
                free.stop()

    def _admit(self, now_s: float) -> None:
        """Lets the question through, unless the last one got no answer; after the rest, one at a time is let."""
        if self._closed:
            raise PromUnavailable("the reader is closed")
        if self._rests_until_s is None:
            return
        if now_s < self._rests_until_s:
            raise PromUnavailable(f"not asked again yet: {self._why}")
        self._rests_until_s = now_s + self._deadline_s + REST_S

    def _rest(self, now_s: float, why: str) -> None:
        self._rests_until_s, self._why = now_s + REST_S, why

    async def _ask(self, client: Client, promql: str, ends_s: float) -> Any:
        loop = asyncio.get_running_loop()
        self._busy.add(client)

        def done() -> None:
            with suppress(RuntimeError):  # the loop may have ended
                loop.call_soon_threadsafe(self._release, client)

        answer: Future[Any] = client.ask(promql, max(0.05, ends_s - loop.time()), done)
        try:
            async with asyncio.timeout_at(ends_s):
                return await asyncio.wrap_future(answer)
        except TimeoutError:
            raise Unreachable(f"Prometheus does not answer within {self._deadline_s:g} s") from None
        finally:
            if not answer.done():
                client.cut()

    async def _client(self, ends_s: float) -> Client:
        """A client that is free now or becomes so before the deadline; made when first needed."""
        try:
            async with asyncio.timeout_at(ends_s):
                free = await self._free.get()
        except TimeoutError:
            raise PromUnavailable("all connections to Prometheus are busy") from None
        return free or Client(self._url, **self._limits)  # type: ignore[arg-type]

    def _release(self, client: Client) -> None:
        self._busy.discard(client)
        if self._closed:
            client.stop()
        else:
            self._free.put_nowait(client)


def _series(result: Any) -> tuple[Series, ...]:
    """From an instant query's result: a list of series, or a flat ``[time, value]`` for a scalar."""
    try:
        if len(result) == 2 and isinstance(result[1], str):
            result = [{"metric": {}, "value": result}]
        rows = [
            (_labels(row["metric"]), row["value"]) for row in result if "values" not in row and "value" in row
        ]
        found = [(labels, float(value), float(at)) for labels, (at, value) in rows]
    except (TypeError, ValueError, LookupError, AttributeError, OverflowError, RecursionError) as error:
        raise PromUnavailable(f"Prometheus answers in an unexpected form: {str(error)[:200]}") from error
    return tuple(
        Series(labels=labels, value=value, at_s=at_s)
        for labels, value, at_s in found
        if math.isfinite(value) and math.isfinite(at_s)
    )


def _labels(metric: Mapping[Any, Any]) -> Mapping[str, str]:
    return {str(name): str(value) for name, value in metric.items()}
