"""Callers with cookies, each in a thread of its own, who remember every answer that they got."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from types import TracebackType
from typing import Self

import httpx

import asking
from waiting import eventually

_PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One answer of examples/tomcat/webapp, or what came instead; without a status nothing came."""

    status: int | None
    edition: str = ""
    server: str = ""
    session: str = ""
    visits: int = 0
    error: str = ""


class Caller:
    """Asks every `every_s` seconds; with the cookies that it was given, or, if it does not stay, without any."""

    def __init__(self, url: str, host: str, *, stays: bool = True, every_s: float = 0.1) -> None:
        self.every_s = every_s
        self.visits: list[Visit] = []
        self._client = asking.client(headers={"Host": host}, timeout=_PATIENCE_S)
        self._url, self._stays = url, stays
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, e: BaseException | None, at: TracebackType | None
    ) -> None:
        self.leave()
        self._client.close()

    def leave(self) -> None:
        """Stops asking, once the answer that is under way has come. The cookies are kept."""
        self._left.set()
        self._thread.join(_PATIENCE_S)

    def ask(self) -> Visit:
        if not self._stays:
            self._client.cookies.clear()
        try:
            answer = self._client.get(self._url)
            if not answer.is_success:
                return Visit(status=answer.status_code, error=answer.text[:300])
            return Visit(status=answer.status_code, **answer.json())
        except (httpx.HTTPError, ValueError, TypeError) as error:
            return Visit(status=None, error=repr(error))

    def wait_for_more(self, count: int) -> list[Visit]:
        """The next visits, as many as asked for."""
        had = len(self.visits)
        why = f"{count} more visits"
        eventually(lambda: len(self.visits) >= had + count, count * self.every_s + _PATIENCE_S, why)
        return self.visits[had : had + count]

    @property
    def failures(self) -> list[Visit]:
        return [visit for visit in self.visits if visit.status != 200]

    @property
    def sessions(self) -> list[list[Visit]]:
        """The visits, cut where the edition, the server or the session is another one than before."""
        return [list(same) for _, same in groupby(self.visits, lambda v: (v.edition, v.server, v.session))]

    def _run(self) -> None:
        while not self._left.is_set():
            self.visits.append(self.ask())
            self._left.wait(self.every_s)


class SlowVisit:
    """A request whose answer has begun; it comes to its end in a thread."""

    def __init__(self, url: str, host: str) -> None:
        self._began: Future[str] = Future()
        thread = ThreadPoolExecutor(1)
        self._result = thread.submit(self._run, url, host)
        thread.shutdown(wait=False)
        self.server = self._began.result(_PATIENCE_S)

    @property
    def ended(self) -> bool:
        return self._result.done()

    def result(self) -> tuple[int, str]:
        """Status and whole body; raises httpx.HTTPError when the answer was broken off."""
        return self._result.result(_PATIENCE_S)

    def _run(self, url: str, host: str) -> tuple[int, str]:
        try:
            with asking.stream("GET", url, headers={"Host": host}, timeout=_PATIENCE_S) as answer:
                self._began.set_result(answer.headers.get("X-Server", ""))
                return answer.status_code, answer.read().decode()
        except httpx.HTTPError as error:
            if not self._began.done():
                self._began.set_exception(error)
            raise
