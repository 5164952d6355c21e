"""Requests in plain HTTP to processes on this machine.

httpx by itself reads all certificates of the system for each of them, which costs 50 ms of CPU time.
"""

from contextlib import AbstractContextManager
from typing import Any

import httpx


def get(url: str, **more: Any) -> httpx.Response:
    return httpx.get(url, verify=False, **more)


def stream(verb: str, url: str, **more: Any) -> AbstractContextManager[httpx.Response]:
    return httpx.stream(verb, url, verify=False, **more)


def client(**more: Any) -> httpx.Client:
    return httpx.Client(verify=False, **more)
