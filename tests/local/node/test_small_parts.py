"""Addresses, quantities, log tails, kubeconfigs, refusals."""

import re
from decimal import Decimal
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from millpond.local.node import kubeconfig
from millpond.local.node.containers import logs
from millpond.local.node.containers.logtimes import LogKeeper, LogTimes, stamped
from millpond.local.node.pods import quantity, support
from millpond.local.node.pods.addresses import Addresses, NoAddress

BLOCK = IPv4Network("127.9.9.0/29")  # .1 is the node's, .2 to .6 are for pods


def test_a_freed_address_rests_until_the_others_had_their_turn(tmp_path: Path) -> None:
    addresses = Addresses(BLOCK, tmp_path / "last")
    assert [addresses.take([])[-1] for _ in range(6)] == ["2", "3", "4", "5", "6", "2"]


def test_taken_addresses_are_left_out_and_a_restart_goes_on_behind_the_last(tmp_path: Path) -> None:
    Addresses(BLOCK, tmp_path / "last").take([])
    assert Addresses(BLOCK, tmp_path / "last").take(["127.9.9.3"]) == "127.9.9.4"


def test_a_full_block_says_so(tmp_path: Path) -> None:
    with pytest.raises(NoAddress, match=r"all 5 pod addresses of 127\.9\.9\.0/29"):
        Addresses(BLOCK, tmp_path / "last").take([f"127.9.9.{i}" for i in range(2, 7)])


@pytest.mark.parametrize(
    ("text", "amount"),
    [("250m", "0.25"), ("2", "2"), ("1.5Gi", "1610612736"), ("100k", "100000"), ("1e3", "1000")],
)
def test_quantities(text: str, amount: str) -> None:
    assert quantity.parse(text) == Decimal(amount)


@pytest.mark.parametrize("text", ["", "many", "1Qi", "Gi"])
def test_what_is_no_quantity_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="is not a quantity"):
        quantity.parse(text)


def test_a_pod_requests_its_containers_together_or_its_largest_init_container() -> None:
    def asking(cpu: str) -> dict[str, Any]:
        return {"resources": {"requests": {"cpu": cpu}}}

    pod = {
        "spec": {"containers": [asking("1"), asking("500m")], "initContainers": [asking("1"), asking("2")]}
    }
    assert quantity.requests(pod) == {"cpu": 2, "pods": 1}


@pytest.mark.parametrize(
    ("lines", "shown"),
    [
        pytest.param(2, b"2\n3\n", id="the last two"),
        pytest.param(9, b"1\n2\n3\n", id="more than there are"),
        pytest.param(0, b"", id="none"),
    ],
)
def test_the_tail_of_a_log(tmp_path: Path, lines: int, shown: bytes) -> None:
    (tmp_path / "log").write_bytes(b"1\n2\n3\n")
    assert b"1\n2\n3\n"[logs.tail(tmp_path / "log", lines) :] == shown


async def test_a_tail_reaches_over_blocks_and_counts_an_unfinished_line(tmp_path: Path) -> None:
    lines = [b"%06d" % i for i in range(30_000)]
    (tmp_path / "log").write_bytes(b"\n".join(lines))
    log = tmp_path / "log"
    read = b"".join([block async for block in logs.read(log, logs.tail(log, 20_000))])
    assert read.split(b"\n") == lines[-20_000:]


async def test_lines_have_the_time_at_which_the_log_was_seen_to_grow(tmp_path: Path) -> None:
    log, now_s = tmp_path / "0.log", 1_700_000_000.0
    keeper = LogKeeper(lambda: [log], lambda: now_s)
    for text in ("one\n", "two\nthree\n"):
        with log.open("a") as out:
            out.write(text)
        keeper.note()
        now_s += 60
    times = LogTimes(log)
    assert times.offset_since(1_700_000_030) == len("one\n")
    lines = b"".join([line async for line in stamped(logs.read(log), 0, times, lambda: now_s)]).split(b"\n")
    assert lines == [
        b"2023-11-14T22:13:20Z one",
        b"2023-11-14T22:14:20Z two",
        b"2023-11-14T22:14:20Z three",
        b"",
    ]


async def test_a_log_that_is_too_long_is_cut_and_a_reader_that_follows_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "0.log"
    log.write_bytes(b"x" * (11 * 1024 * 1024))
    reader = logs.read(log, log.stat().st_size - 1, follow=lambda: True)
    assert await anext(reader) == b"x"
    LogKeeper(lambda: [log], lambda: 1.0).note()
    with log.open("ab") as writer:
        writer.write(b"new\n")
    assert await anext(reader) == b"new\n"
    await reader.aclose()
    assert (tmp_path / "0.before").stat().st_size == 11 * 1024 * 1024


def test_a_kubeconfig_without_context_says_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("current-context: x\ncontexts: []\n")
    with pytest.raises(ValueError, match="no usable current-context"):
        kubeconfig.read(tmp_path / "config")


def _pod(container: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "main", **(container or {})}], **spec}}


@pytest.mark.parametrize(
    ("pod", "complaint"),
    [
        pytest.param(_pod(hostNetwork=True), "hostNetwork", id="the host's network"),
        pytest.param(_pod({"securityContext": {"privileged": True}}), "privileged", id="privileges"),
        pytest.param(
            _pod({"ports": [{"containerPort": 80, "hostPort": 80}]}), "hostPort 80", id="a port of the host"
        ),
        pytest.param(
            _pod({"livenessProbe": {"grpc": {"port": 1}}}), "grpc is not supported", id="a gRPC probe"
        ),
        pytest.param(
            _pod(
                {"volumeMounts": [{"name": "cache", "mountPath": "/c"}]},
                volumes=[{"name": "cache", "emptyDir": {}}],
            ),
            r"volume 'cache' \(emptyDir\) at /c of container 'main'",
            id="a mounted volume",
        ),
        pytest.param(
            _pod(initContainers=[{"name": "proxy", "restartPolicy": "Always"}]), "no sidecars", id="a sidecar"
        ),
    ],
)
def test_what_a_process_cannot_have_is_refused_by_name(pod: dict[str, Any], complaint: str) -> None:
    (reason,) = support.refusals(pod)
    assert re.search(complaint, reason)


def test_the_service_account_mount_that_admission_adds_is_left_out() -> None:
    mount = {"name": "kube-api-access-x1", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}
    assert support.refusals(_pod({"volumeMounts": [mount]})) == []
