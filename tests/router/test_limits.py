"""How much memory a router takes itself to have."""

from pathlib import Path

import pytest

from millpond.router.envoy.limits import heap_bytes

GIB = 1 << 30
V2, V1 = "sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes"
MACHINE = {"proc/meminfo": "MemTotal:       8388608 kB\nMemFree:  1 kB\n"}


@pytest.mark.parametrize(("files", "found"), [
    pytest.param({**MACHINE, V2: f"{GIB}\n"}, 3 * GIB // 4, id="a container with a limit"),
    pytest.param({**MACHINE, V2: "max\n"}, 6 * GIB, id="a container without one has the machine's"),
    pytest.param({**MACHINE, V1: f"{2 * GIB}\n"}, 3 * GIB // 2, id="control groups of version 1"),
    pytest.param({**MACHINE, V1: "9223372036854771712\n"}, 6 * GIB, id="no limit as version 1 says it"),
    pytest.param(MACHINE, 6 * GIB, id="no control groups"),
])  # fmt: skip
def test_a_router_may_use_three_quarters_of_what_there_is(
    tmp_path: Path, files: dict[str, str], found: int
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert heap_bytes(tmp_path) == found
