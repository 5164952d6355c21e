"""How the sample app behaves: everything is set by the environment."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

MODES = ("wait", "cpu")
MAX_WORK_MS = 600_000
_EDITION = re.compile(r"[A-Za-z0-9._-]{0,63}")


class SettingsError(ValueError):
    """An environment variable has a value that the app cannot run with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    mode: str = "wait"
    """MODE. wait: a slot waits, as for a back end, and uses no CPU. cpu: a slot computes."""
    service_time_ms: float = 100
    """SERVICE_TIME_MS: how long one piece of work takes once it has a slot (CPU time in mode cpu)."""
    slots: int = 4
    """SLOTS: pieces of work at the same time; the others wait for their turn."""
    start_delay_s: float = 0
    """START_DELAY_S: from the start of the process until it is ready."""
    warmup_s: float = 0
    """WARMUP_S: so long after it is ready, work still takes WARMUP_FACTOR times as long."""
    warmup_factor: float = 2
    leak_bytes_per_request: int = 0
    """LEAK_BYTES_PER_REQUEST: memory that every request leaves behind."""
    error_ratio: float = 0
    """ERROR_RATIO: share of the work that ends with status 500."""
    edition: str = ""
    """EDITION: which version of the app this is; every answer says it in X-Edition."""
    ledger_dir: str = ""
    """LEDGER_DIR: where the ledger is kept in a file, too; empty: in memory only."""
    host: str = "127.0.0.1"
    """HOST, else POD_IP."""
    port: int = 8080
    shutdown_s: float = 60
    """SHUTDOWN_S: how long SIGTERM lets running work go on."""

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Settings":
        mode = env.get("MODE", "wait")
        if mode not in MODES:
            raise SettingsError(f"MODE={mode!r}: must be one of {', '.join(MODES)}")
        return cls(
            mode=mode,
            service_time_ms=_number(env, "SERVICE_TIME_MS", 100, 0, MAX_WORK_MS),
            slots=_count(env, "SLOTS", 4 if mode == "wait" else 1, 1, 1000),
            start_delay_s=_number(env, "START_DELAY_S", 0, 0, 3600),
            warmup_s=_number(env, "WARMUP_S", 0, 0, 3600),
            warmup_factor=_number(env, "WARMUP_FACTOR", 2, 1, 100),
            leak_bytes_per_request=_count(env, "LEAK_BYTES_PER_REQUEST", 0, 0, 1 << 30),
            error_ratio=_number(env, "ERROR_RATIO", 0, 0, 1),
            edition=_edition(env),
            ledger_dir=_folder(env, "LEDGER_DIR"),
            host=env.get("HOST") or env.get("POD_IP") or "127.0.0.1",
            port=_count(env, "PORT", 8080, 1, 65535),
            shutdown_s=_number(env, "SHUTDOWN_S", 60, 0, 3600),
        )


def number(name: str, text: str, low: float, high: float) -> float:
    """Raises SettingsError, which names the setting, its value and what would be right."""
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise SettingsError(f"{name}={text!r}: must be a number from {low:g} to {high:g}")
    return value


def _number(env: Mapping[str, str], name: str, default: float, low: float, high: float) -> float:
    return number(name, env.get(name, "").strip() or str(default), low, high)


def _count(env: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    value = _number(env, name, default, low, high)
    if value != int(value):
        raise SettingsError(f"{name}={env[name]!r}: must be a whole number from {low} to {high}")
    return int(value)


def _edition(env: Mapping[str, str]) -> str:
    name = env.get("EDITION", "")
    if not _EDITION.fullmatch(name):
        raise SettingsError(f"EDITION={name!r}: must be up to 63 letters, digits, '.', '_' and '-'")
    return name


def _folder(env: Mapping[str, str], name: str) -> str:
    path = env.get(name, "")
    if path and not (os.path.isdir(path) and os.access(path, os.W_OK | os.X_OK)):
        raise SettingsError(f"{name}={path!r}: must be a folder that exists and can be written to")
    return path
