"""Clients that stay: a visitor who keeps his cookie, and requests and streams that take their time."""

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx

import asking
from e2e.product import Product
from waiting import eventually

PAUSE_S = 0.1


@dataclass
class Visitor:
    """Asks again and again with the cookies that he got; remembers (status, server) of each answer."""

    url: str
    host: str
    answers: list[tuple[int, str]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    pause_s: float = PAUSE_S
    _over: threading.Event = field(default_factory=threading.Event)

    @classmethod
    @contextlib.contextmanager
    def of(cls, product: Product, host: str, pause_s: float = PAUSE_S) -> Iterator["Visitor"]:
        visitor = cls(f"http://{product.addresses['r1']}/session", host, pause_s=pause_s)
        thread = threading.Thread(target=visitor._visit)
        thread.start()
        try:
            eventually(lambda: visitor.answers, 10, "the visitor is answered")
            yield visitor
        finally:
            visitor.leave()
            thread.join()

    def leave(self) -> None:
        self._over.set()

    @property
    def server(self) -> str:
        return self.answers[-1][1]

    def _visit(self) -> None:
        with asking.client(headers={"Host": self.host}, timeout=10) as client:
            while not self._over.wait(self.pause_s):
                try:
                    answer = client.get(self.url)
                except httpx.HTTPError as error:
                    self.errors.append(repr(error))
                else:
                    self.answers.append((answer.status_code, answer.headers.get("X-Server", "")))


@dataclass
class Lasting:
    """One request or stream that takes long; ``done`` once it was answered to its end."""

    url: str
    host: str
    server: str = ""
    text: str = ""
    error: str = ""
    _thread: threading.Thread | None = None

    @classmethod
    def start(cls, product: Product, host: str, path: str) -> "Lasting":
        lasting = cls(f"http://{product.addresses['r1']}{path}", host)
        lasting._thread = threading.Thread(target=lasting._run, daemon=True)
        lasting._thread.start()
        return lasting

    @property
    def done(self) -> bool:
        return self._thread is not None and not self._thread.is_alive()

    def _run(self) -> None:
        try:
            accepts = (
                "text/event-stream" if "/stream" in self.url else "*/*"
            )  # as browsers do; routers go by it
            headers = {"Host": self.host, "Accept": accepts}
            with asking.stream("GET", self.url, headers=headers, timeout=120) as answer:
                self.server = answer.headers.get("X-Server", "")
                for chunk in answer.iter_text():
                    self.text += chunk
        except httpx.HTTPError as error:
            self.error = repr(error)


def wait_until(past_s: float) -> None:
    """For tests that must see that something does not happen before a moment (monotonic seconds)."""
    eventually(lambda: time.monotonic() >= past_s, 600, "the time has passed")
