"""Waiting for a condition with a deadline; never a fixed sleep."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeAlias, TypeVar, overload

T = TypeVar("T")
Asked: TypeAlias = Callable[[], Coroutine[Any, Any, T]]
_PAUSE_S = 0.05


@overload
def eventually(
    predicate: Callable[[], Coroutine[Any, Any, T]], timeout_s: float, why: str
) -> Awaitable[T]: ...
@overload
def eventually(predicate: Callable[[], T], timeout_s: float, why: str) -> T: ...
def eventually(predicate: Callable[[], Any], timeout_s: float, why: str) -> Any:
    """The first true value of `predicate`; an AssertionError names `why` and the last value or error.

    To be awaited when the predicate is: `await eventually(lambda: client.get(...), 5, "it answers")`.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        value, error = _attempt(predicate)
        if inspect.iscoroutine(value):
            value.close()  # asked again there, inside the event loop
            return eventually_async(predicate, timeout_s, why)
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s:g} s: {why}; last: {value!r}") from error
        time.sleep(_PAUSE_S)


async def eventually_async(predicate: Callable[[], T | Awaitable[T]], timeout_s: float, why: str) -> T:
    """The same without holding up the event loop between two attempts, for either kind of predicate."""
    deadline = time.monotonic() + timeout_s
    while True:
        value, error = await _attempt_async(predicate)
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s:g} s: {why}; last: {value!r}") from error
        await asyncio.sleep(_PAUSE_S)


def _attempt(predicate: Callable[[], T]) -> tuple[T | None, Exception | None]:
    try:
        return predicate(), None
    except Exception as error:  # not there yet is what waiting is about; the last error is shown
        return None, error


async def _attempt_async(predicate: Callable[[], T | Awaitable[T]]) -> tuple[T | None, Exception | None]:
    try:
        value = predicate()
        return (await value if inspect.isawaitable(value) else value), None
    except Exception as error:
        return None, error
