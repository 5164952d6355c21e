"""What can go wrong at the API server.

* ApiError
  - NotFound      forget the object
  - Conflict      somebody else wrote, or it exists already: look again next cycle
  - Gone          the resourceVersion is too old: list again
  - Invalid       the object is wrong: say so, retrying does not help
  - Forbidden     our rights do not suffice, or our credentials are not known
  - Unavailable   back off; a write may or may not have happened
"""

from collections.abc import Mapping
from typing import Any


class ApiError(Exception):
    """The API server did not answer with success. ``status``: HTTP status, 0 when there was no answer."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


class NotFound(ApiError): ...


class Conflict(ApiError): ...


class Gone(ApiError): ...


class Invalid(ApiError): ...


class Forbidden(ApiError): ...


class Unavailable(ApiError): ...


_BY_STATUS: Mapping[int, type[ApiError]] = {
    400: Invalid,
    401: Forbidden,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    413: Invalid,
    415: Invalid,
    422: Invalid,
    429: Unavailable,
}


def error_for(status: int, body: Any, what: str) -> ApiError:
    """The error for an HTTP status and the API server's Status object (or whatever came instead of one)."""
    said = body.get("message") if isinstance(body, dict) else None
    kind = Unavailable if status >= 500 else _BY_STATUS.get(status, ApiError)
    return kind(f"{what}: {said or f'HTTP status {status}'}", status)
