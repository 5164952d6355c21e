"""What a cluster remembers about itself in `cluster.json`, so that another process can go on with it."""

import os
from pathlib import Path
from typing import TypeAlias

import msgspec

from millpond.local.errors import ClusterError
from millpond.local.nodespec import NodeSpec

_FILE = "cluster.json"
Ports: TypeAlias = dict[str, int]


class RunningProcess(msgspec.Struct, frozen=True):
    pid: int
    started_s: float


class Record(msgspec.Struct, kw_only=True):
    name: str
    id: str
    foreground: bool
    audit: bool = True
    node_grace_s: int = 16
    programs: dict[str, str] = msgspec.field(default_factory=dict)
    """Program name -> path, so that a running cluster is not asked for them again."""
    ports: Ports = msgspec.field(default_factory=dict)
    blocks: dict[str, str] = msgspec.field(default_factory=dict)
    """Node name -> its block of loopback addresses, such as "127.83.7"."""
    nodes: dict[str, NodeSpec] = msgspec.field(default_factory=dict)
    processes: dict[str, RunningProcess] = msgspec.field(default_factory=dict)
    chart: bool = False
    """Whether the chart was installed, so that the operator's token is refreshed at a restart."""


def load(folder: Path) -> Record | None:
    """None when there is no cluster in `folder`; raises ClusterError when its record can't be read."""
    path = folder / _FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Record)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, OSError) as error:
        raise ClusterError(f"{path} can't be read ({error}): delete {folder} to start afresh") from error


def save(folder: Path, record: Record) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = folder / f"{_FILE}.new"
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(record)))
    os.replace(draft, folder / _FILE)


def all_in(home: Path) -> list[Record]:
    """The records of every cluster in `home`, by name."""
    folders = sorted(path.parent for path in home.glob(f"*/{_FILE}"))
    return [record for folder in folders if (record := load(folder)) is not None]
