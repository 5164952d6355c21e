"""Waiting until an app is served: the story begins at rest."""

import time
from collections.abc import Callable

import httpx

from millpond.api.names import LABEL_APP
from millpond.demo.scenario import Scenario
from millpond.demo.stage.stack import Say, Stack, StackError

_SERVED_S = 90.0


class NotServed(StackError):
    """The app does not answer, and nothing else is known to be wrong."""


def wait_until_served(stack: Stack, scenario: Scenario, check: Callable[[], None], say: Say) -> None:
    """The app answers through the routers, and all of its first servers are ready.

    Raises NotServed after 90 s, or whatever `check` raises before.
    """
    say("waiting until the app is served")
    deadline = time.monotonic() + _SERVED_S
    while (answer := status(stack.url, scenario.host)) != 200:
        check()
        if time.monotonic() > deadline:
            what = f"not served after {_SERVED_S:.0f} s (last answer: {answer or 'none'})"
            raise NotServed(f"{scenario.namespace}/{scenario.app} is {what}")
        time.sleep(0.2)
    pods = ("pods", f"--selector={LABEL_APP}={scenario.app}", "-n", scenario.namespace)
    stack.kubectl("wait", "--for=condition=Ready", f"--timeout={_SERVED_S:.0f}s", *pods)


def status(url: str, host: str | None = None) -> int | None:
    """None: no answer."""
    try:
        return httpx.get(url, headers={"Host": host} if host else None, timeout=5).status_code
    except httpx.HTTPError:
        return None
