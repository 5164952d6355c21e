"""The routers' certificate authority is replaced, stage by stage, while everything else goes on."""

import base64
import json
import threading
from collections.abc import Callable

from millpond.api.names import NAMESPACE
from millpond.demo.kind.release import Release
from millpond.lead.identity import CA_SECRET, ROTATE_ANNOTATION, ROUTER_SECRET, SINCE_ANNOTATION
from millpond.local.errors import KubectlError

from waiting import eventually

_STAGE_S = 150
_LONG_AGO = "2020-01-01T00:00:00Z"


class Rotation:
    """In a thread of its own: `finished` waits for its end and raises what it met."""

    def __init__(self, release: Release) -> None:
        self._release = release
        self._error: BaseException | None = None
        self._before = self._secret()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def finished(self) -> None:
        self._thread.join(3 * _STAGE_S)
        if self._error is not None:
            raise self._error
        assert not self._thread.is_alive(), "the rotation has not come to its end"

    def _run(self) -> None:
        try:
            self._annotate(f"{ROTATE_ANNOTATION}=yes")
            self._stage("a new authority is announced", lambda new: _authorities(new) == 2)
            self._annotate(f"{SINCE_ANNOTATION}={_LONG_AGO}")  # as if the routers had known it for long
            self._stage("the new one signs", lambda new: new["tls.crt"] != self._before["tls.crt"])
            self._annotate(f"{SINCE_ANNOTATION}={_LONG_AGO}")
            self._stage("the old one is gone", lambda new: _authorities(new) == 1)
            assert self._secret()["ca.crt"] != self._before["ca.crt"]
        except BaseException as error:  # raised again by whoever asks
            self._error = error

    def _stage(self, what: str, reached: Callable[[dict[str, bytes]], bool]) -> None:
        """In the Secret, and then in the files of every router."""
        eventually(lambda: reached(self._secret()), _STAGE_S, what)
        wanted = self._secret()["ca.crt"]
        eventually(lambda: self._known(wanted), _STAGE_S, f"routers have it: {what}")

    def _known(self, authorities: bytes) -> bool:
        """A change of a pod makes its kubelet look at once whether its Secrets have changed."""
        cluster = self._release.cluster
        pods = self._release.routers()
        for pod in pods:
            there = cluster.kubectl("exec", pod, "-n", NAMESPACE, "--", "cat", "/etc/millpond/xds/ca.crt")
            if there.encode() != authorities:
                number = str(hash(authorities) % 10**6)
                cluster.kubectl("annotate", "pod", pod, "-n", NAMESPACE, f"test={number}", "--overwrite")
                return False
        return bool(pods)

    def _annotate(self, annotation: str) -> None:
        what = ("annotate", "secret", CA_SECRET, "-n", NAMESPACE, annotation, "--overwrite")
        eventually(lambda: bool(self._release.cluster.kubectl(*what)), 30, f"{annotation} is written")

    def _secret(self) -> dict[str, bytes]:
        try:
            what = ("get", "secret", ROUTER_SECRET, "-n", NAMESPACE, "-o", "json")
            found = json.loads(self._release.cluster.kubectl(*what))
        except KubectlError as error:
            raise AssertionError(str(error)) from error
        return {name: base64.b64decode(value) for name, value in found["data"].items()}


def _authorities(secret: dict[str, bytes]) -> int:
    return secret["ca.crt"].count(b"BEGIN CERTIFICATE")
