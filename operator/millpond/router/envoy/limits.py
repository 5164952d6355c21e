"""What clients together can take of a router: connections, memory, time.

At the limit of connections a new one is closed at once. Nearing the limit of memory, idle memory is given back, then
connections are closed after their answers and timeouts shrink, then new connections have to wait and the streams of
HTTP/2 that hold most are reset, and at last new requests are answered 503. Of HTTP/1 nothing is reset: what all of its
connections can hold is bounded by their number. The listener for statistics and probes knows none of this.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]
BUFFER_BYTES = 1 << 15
"""Of one connection and direction; a client that takes nothing costs about three times that. More is not faster."""
REPEATABLE_BYTES = 1 << 16
"""Of a request's body that are kept, to be sent again when a server can't be reached."""
_TYPES = "type.googleapis.com/envoy.extensions.resource_monitors"
_UNLIMITED = 1 << 60
_TRACKED_POWER = 17
"""Streams of HTTP/2 that hold about 2^17 bytes and more in buffers are told apart by how much that is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Of one router."""

    connections: int = 5000
    """Of clients, on all listeners for apps together. If none of them reads its answers, each takes about 100 KiB."""
    heap_bytes: int | None = None
    """Of the memory that the router uses, not of what the kernel keeps for its connections; None: no limit."""
    idle_s: int = 660
    """A connection without a request is closed after so long. Longer than load balancers in front keep theirs."""
    headers_s: int = 15
    """For the whole of a request's headers, once it has begun, and for a TLS handshake."""


def heap_bytes(root: Path = Path("/")) -> int:
    """Three quarters of the memory that this process may have (its control group's limit, or the machine's memory): the
    rest is for what isn't heap."""
    return 3 * _allowed_bytes(root) // 4


def _allowed_bytes(root: Path) -> int:
    total = _total_bytes(root)
    for name in ("sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            text = (root / name).read_text().strip()
        except OSError:
            continue
        if text.isdecimal() and int(text) < total:
            return int(text)
    return total


def _total_bytes(root: Path) -> int:
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
    except OSError:
        return _UNLIMITED
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("MemTotal:")), _UNLIMITED)


def overload_manager(limits: Limits) -> Json:
    """For the bootstrap."""
    connections = _monitor(
        "global_downstream_max_connections",
        "downstream_connections.v3.DownstreamConnectionsConfig",
        max_active_downstream_connections=limits.connections,
    )
    if limits.heap_bytes is None:
        return {"resource_monitors": [connections]}
    heap = _monitor("fixed_heap", "fixed_heap.v3.FixedHeapConfig", max_heap_size_bytes=limits.heap_bytes)
    return {
        "refresh_interval": "0.25s",
        "resource_monitors": [connections, heap],
        "actions": [
            _action("shrink_heap", {"threshold": {"value": 0.85}}),
            _action("disable_http_keepalive", {"threshold": {"value": 0.9}}),
            _action("reduce_timeouts", _scaled(0.85, 0.95)) | {"typed_config": _SHORTER},
            _action("reset_high_memory_stream", _scaled(0.9, 0.98)),
            _action("stop_accepting_connections", {"threshold": {"value": 0.95}}),
            _action("stop_accepting_requests", {"threshold": {"value": 0.98}}),
        ],
        "buffer_factory_config": {"minimum_account_to_track_power_of_two": _TRACKED_POWER},
    }


def _monitor(name: str, config: str, **fields: int) -> Json:
    typed = {"@type": f"{_TYPES}.{config}", **fields}
    return {"name": f"envoy.resource_monitors.{name}", "typed_config": typed}


def _scaled(start: float, full: float) -> Json:
    return {"scaled": {"scaling_threshold": start, "saturation_threshold": full}}


def _action(name: str, trigger: Json) -> Json:
    triggers = [{"name": "envoy.resource_monitors.fixed_heap", **trigger}]
    return {"name": f"envoy.overload_actions.{name}", "triggers": triggers}


_SHORTER: Json = {
    "@type": "type.googleapis.com/envoy.config.overload.v3.ScaleTimersOverloadActionConfig",
    "timer_scale_factors": [
        {"timer": "HTTP_DOWNSTREAM_CONNECTION_IDLE", "min_timeout": "2s"},
        {"timer": "TRANSPORT_SOCKET_CONNECT", "min_timeout": "2s"},
    ],
}
