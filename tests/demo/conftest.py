"""The sample app as a real process on a free port."""

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from millpond.ports import free_port

from waiting import eventually

APP = Path(__file__).resolve().parents[2] / "examples" / "sample_app" / "app.py"
ADDRESS = "127.0.0.1"


def status(url: str) -> int | None:
    """HTTP status, or None when nobody listens."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


@dataclass(frozen=True)
class RunningApp:
    url: str
    process: subprocess.Popen[str]

    def wait_ready(self) -> None:
        eventually(lambda: status(f"{self.url}/readyz") == 200, 20, "the sample app is ready")

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)


async def gauges(session: aiohttp.ClientSession, app: RunningApp) -> dict[str, float]:
    async with session.get(f"{app.url}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    return {name: float(value) for name, value in (li.split() for li in lines if not li.startswith("#"))}


@pytest.fixture
def run_app() -> Iterator[Callable[..., RunningApp]]:
    """Starts a sample app with these environment variables: run_app(SLOTS="2"). Ended after the test."""
    running: list[subprocess.Popen[str]] = []

    def run(*, wait: bool = True, **env: str) -> RunningApp:
        port = free_port()
        process = subprocess.Popen(
            [sys.executable, str(APP)],
            env={"PATH": os.environ["PATH"], "HOST": ADDRESS, "PORT": str(port), **env},
            stdout=subprocess.DEVNULL,
            text=True,
        )
        running.append(process)
        app = RunningApp(f"http://{ADDRESS}:{port}", process)
        if wait:
            app.wait_ready()
        return app

    yield run
    for process in running:
        process.kill()
        process.wait()
