"""Certificates that are renewed as Kubernetes does it, and a steady load that notices it."""

import asyncio
import contextlib
import itertools
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from cryptography import x509

from millpond.router.process.envoy import RouterProcess
from millpond.router.trust.authority import Signed

from router.world import World

T = TypeVar("T")


def mount(folder: Path, leaf: Signed, trusted: bytes) -> None:
    """What Kubernetes does with a Secret: all files change at once, by a renamed link."""
    folder.mkdir(exist_ok=True)
    version = next(folder / f"..{n}" for n in itertools.count() if not (folder / f"..{n}").exists())
    version.mkdir()
    for name, content in (("ca.crt", trusted), ("tls.crt", leaf.certificate), ("tls.key", leaf.key)):
        (version / name).write_bytes(content)
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")
    (folder / "..next").symlink_to(version.name)
    (folder / "..next").rename(folder / "..data")


def end(signed: Signed) -> float:
    """When it ends, in seconds since 1970."""
    return x509.load_pem_x509_certificates(signed.certificate)[0].not_valid_after_utc.timestamp()


async def ends(world: World, router: RouterProcess, of: str = "listener") -> dict[str, float]:
    """What a router's statistics say on when its certificates end, by name."""
    async with world.http.get(f"http://{router.stats}/stats/prometheus") as answer:
        text = await answer.text()
    metric = f"envoy_{of}_ssl_certificate_expiration_unix_time_seconds"
    found = re.findall(rf'^{metric}\{{envoy_tls_certificate="([^"]+)".*\}} (\d+)$', text, re.MULTILINE)
    return {name: float(value) for name, value in found}


@asynccontextmanager
async def requests(ask: Callable[[], Awaitable[T]], rate: float) -> AsyncIterator[list[T | Exception]]:
    """So many a second, whatever becomes of them, and their answers; all have ended afterwards."""
    answers: list[T | Exception] = []

    async def one() -> None:
        try:
            answers.append(await ask())
        except Exception as error:
            answers.append(error)

    async def send() -> None:
        loop, running = asyncio.get_running_loop(), set[asyncio.Task[None]]()
        began_s = loop.time()
        try:
            for number in itertools.count():
                await asyncio.sleep(max(0.0, began_s + number / rate - loop.time()))
                task = asyncio.create_task(one())
                running.add(task)
                task.add_done_callback(running.discard)
        finally:
            await asyncio.gather(*running)

    sending = asyncio.create_task(send())
    try:
        yield answers
    finally:
        sending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sending
