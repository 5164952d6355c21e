"""One thread with one prometheus-api-client: blocking inside, bounded in time and memory from outside.

The library blocks, has no total deadline, retries, follows redirects, reads without limit and leaks the
exceptions of what lies below it. Here a session of our own closes those holes, and a socket that takes too
long is shut down from outside.
"""

import json
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from queue import SimpleQueue
from typing import Any

import requests
from prometheus_api_client import PrometheusConnect
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError, ReadTimeoutError
from urllib3.util.retry import Retry

from millpond.prom.errors import PromError, PromRejected, PromUnavailable

_CHUNK = 64 * 1024
_LONGEST_TEXT = 200


class Wire:
    """The socket under a client, so that somebody else can cut it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._is_cut = False

    def holds(self, connected: socket.socket) -> None:
        with self._lock:
            if self._socket is not None:
                self._socket.close()
            self._socket = connected.dup()
            is_cut = self._is_cut
        if is_cut:
            self.cut()

    def cut(self) -> None:
        """Whatever blocks on the socket ends now, a TLS handshake included."""
        with self._lock:
            self._is_cut = True
            if self._socket is not None:
                with suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        with self._lock:
            self._is_cut = False

    def close(self) -> None:
        with self._lock:
            if self._socket is not None:
                self._socket.close()
            self._socket = None


class _Adapter(HTTPAdapter):  # type: ignore[misc]
    """Tells the wire about each new connection; never retries."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=Retry(total=0, redirect=False))

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        wire = self._wire

        class Plain(HTTPConnection):
            def _new_conn(self) -> socket.socket:
                connected = super()._new_conn()
                wire.holds(connected)
                return connected

        class Secure(HTTPSConnection):
            def _new_conn(self) -> socket.socket:
                connected = super()._new_conn()
                wire.holds(connected)
                return connected

        self.poolmanager.pool_classes_by_scheme = {
            "http": type("PlainPool", (HTTPConnectionPool,), {"ConnectionCls": Plain}),
            "https": type("SecurePool", (HTTPSConnectionPool,), {"ConnectionCls": Secure}),
        }


class _Session(requests.Session):  # type: ignore[misc]
    """Reads at most ``most_bytes``, until a deadline, and takes no redirect, proxy or .netrc."""

    def __init__(self, most_bytes: int, ca_file: str | None) -> None:
        super().__init__()
        self.trust_env = False
        self.verify = ca_file or True
        self.headers["Accept-Encoding"] = "identity"
        self.ends_s = 0.0
        self._most_bytes = most_bytes

    def request(self, method: Any, url: Any, **kwargs: Any) -> requests.Response:
        kwargs |= {
            "allow_redirects": False,
            "stream": True,
            "timeout": max(0.05, self.ends_s - time.monotonic()),
        }
        response = super().request(method, url, **kwargs)
        try:
            response._content = self._body(response)
        finally:
            response.close()
        _check(response)
        return response

    def _body(self, response: requests.Response) -> bytes:
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise PromUnavailable("Prometheus answers compressed although it was asked not to")
        body = bytearray()
        while chunk := response.raw.read1(_CHUNK):
            body += chunk
            if len(body) > self._most_bytes:
                raise PromUnavailable(f"the answer has more than {self._most_bytes} bytes")
            if time.monotonic() > self.ends_s:
                raise Unreachable("the answer did not end in time")
        return bytes(body)


def _check(response: requests.Response) -> None:
    code = response.status_code
    if code in (400, 422):
        raise PromRejected(f"Prometheus refuses the query: {_error_text(response)}")
    if response.is_redirect or 300 <= code < 400:
        raise PromUnavailable(
            f"Prometheus redirects (HTTP {code}); redirects are not followed: give the final URL"
        )
    if code in (401, 403):
        raise PromUnavailable(f"Prometheus denies access (HTTP {code})")
    if code != 200:
        raise PromUnavailable(f"Prometheus answers HTTP {code}: {_error_text(response)}")
    if b'"warnings"' in response.content:
        _refuse_partial(response)


def _error_text(response: requests.Response) -> str:
    try:
        return str(json.loads(response.content)["error"])[:_LONGEST_TEXT]
    except (ValueError, KeyError, TypeError, RecursionError):
        return repr(response.content[:_LONGEST_TEXT])


def _refuse_partial(response: requests.Response) -> None:
    """The library drops warnings, yet they say that series may be missing (hints about PromQL do not)."""
    answer = response.json()
    warnings = answer.get("warnings") if isinstance(answer, dict) else None
    serious = [str(w) for w in warnings or () if not str(w).startswith("PromQL info")]
    if serious:
        raise PromUnavailable(
            f"Prometheus warns that the result may be partial: {serious[0][:_LONGEST_TEXT]}"
        )


class Client:
    """A daemon thread that asks one question at a time. It never holds the end of the process."""

    def __init__(self, url: str, *, most_bytes: int, ca_file: str | None = None) -> None:
        self._wire = Wire()
        self._session = _Session(most_bytes, ca_file)
        self._connect = PrometheusConnect(url=url, session=self._session, retry=Retry(total=0))
        self._session.mount(url, _Adapter(self._wire))
        self._questions: SimpleQueue[tuple[str, float, Future[Any], Callable[[], None]] | None] = (
            SimpleQueue()
        )
        threading.Thread(target=self._answer, name="prometheus", daemon=True).start()

    def ask(self, promql: str, deadline_s: float, done: Callable[[], None]) -> Future[Any]:
        """An instant query's raw result within ``deadline_s``, or PromError; then ``done``, in the thread."""
        answer: Future[Any] = Future()
        self._wire.mend()
        self._questions.put((promql, time.monotonic() + deadline_s, answer, done))
        return answer

    def cut(self) -> None:
        self._wire.cut()

    def stop(self) -> None:
        self._wire.cut()
        self._questions.put(None)

    def _answer(self) -> None:
        while (question := self._questions.get()) is not None:
            promql, ends_s, answer, done = question
            if answer.set_running_or_notify_cancel():
                self._settle(answer, promql, ends_s)
            done()
        self._session.close()
        self._wire.close()

    def _settle(self, answer: Future[Any], promql: str, ends_s: float) -> None:
        try:
            result = self._query(promql, ends_s)
        except PromError as error:
            self._wire.cut()  # what may still be under way on this connection is of no use
            answer.set_exception(error)
        else:
            answer.set_result(result)

    def _query(self, promql: str, ends_s: float) -> Any:
        self._session.ends_s = ends_s
        try:
            patience_s = max(1, round((ends_s - time.monotonic()) * 900))
            return self._connect.custom_query(promql, params={"timeout": f"{patience_s}ms"})
        except PromError:
            raise
        except (requests.Timeout, ReadTimeoutError) as error:
            raise Unreachable("Prometheus does not answer in time") from error
        except (requests.ConnectionError, HTTPError) as error:
            raise Unreachable(f"Prometheus can't be reached: {_root(error)}") from error
        except Exception as error:  # what the library and those below it leak is not a closed list
            raise PromUnavailable(
                f"Prometheus answers something else than JSON results: {_root(error)}"
            ) from error


class Unreachable(PromUnavailable):
    """Nobody answers: not this question's fault, so the next question would fare no better."""


def _root(error: BaseException) -> str:
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return f"{type(error).__name__}: {str(error)[:_LONGEST_TEXT]}"
