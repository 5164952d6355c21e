"""Building from Go modules: which compiler, which packages, what is said. The compiler only pretends."""

from collections.abc import Callable
from pathlib import Path

import pytest

from millpond.local import versions
from millpond.local.errors import ClusterError
from millpond.local.programs import build

Put = Callable[..., Path]

COMPILER = """#!/bin/sh
if [ "$1" = env ]; then echo {version}; exit; fi
test -w go.mod || exit 9
echo "compiling $*" >&2
while [ "$1" != -o ]; do shift; done
case "$3" in *{broken}) echo "cannot find module" >&2; exit 1;; esac
echo "$3 $CGO_ENABLED" > "$2"
"""


@pytest.fixture
def compiler(empty_machine: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    folder = empty_machine / "path"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def compiler(version: str = "go1.26.0", broken: str = "nothing") -> None:
        (folder / "go").write_text(COMPILER.format(version=version, broken=broken))
        (folder / "go").chmod(0o755)

    return compiler


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    (tmp_path / "programs").mkdir()
    return tmp_path / "programs"


def test_every_program_is_built_from_its_package_and_etcds_server_is_called_etcd(
    compiler: Callable[..., None], cache: Path
) -> None:
    compiler()
    told: list[str] = []
    build.build(versions.PROGRAMS, cache, told.append)
    assert {path.name for path in cache.iterdir()} == set(versions.PROGRAMS)
    assert (cache / "etcd").read_text() == "go.etcd.io/etcd/server/v3 0\n"
    assert told[0] == "building etcd (1 of 5)"
    assert told[-1].startswith("built kubectl (5 of 5) in ")


@pytest.mark.parametrize("version", ["go1.25.9", "go1.4", "devel"])
def test_an_old_compiler_is_refused_with_the_version_that_is_needed(
    compiler: Callable[..., None], cache: Path, version: str
) -> None:
    compiler(version=version)
    with pytest.raises(ClusterError, match=r"Go 1\.26 or later is needed .* says: " + version):
        build.build(["etcd"], cache, print)


def test_without_a_compiler_it_says_where_to_get_one(empty_machine: Path, cache: Path) -> None:
    with pytest.raises(ClusterError, match=r"go\.dev/dl\); there is no `go` on the PATH"):
        build.build(["etcd"], cache, print)


def test_a_failed_build_says_what_the_compiler_said_and_leaves_nothing(
    compiler: Callable[..., None], cache: Path
) -> None:
    compiler(broken="kubectl")
    with pytest.raises(ClusterError, match=r"(?s)kubectl can't be built .*cannot find module"):
        build.build(["kubectl"], cache, print)
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize(
    "line", [f"k8s.io/kubernetes {versions.KUBERNETES} ", f"go.etcd.io/etcd/server/v3 {versions.ETCD} "]
)
def test_what_is_built_is_of_the_same_version_as_what_is_fetched(line: str) -> None:
    assert line in (build.MODULE / "go.mod").read_text()
