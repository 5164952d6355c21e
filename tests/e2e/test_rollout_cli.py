"""`millpond rollout` against the real operator: what CI sees is what happened."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

import asking
from e2e.product import Product, elastic_app, template
from waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.e2e, pytest.mark.timeout(300)]
QUICK = {"soak": "1s", "deadline": "10s"}


def millpond(product: Product, namespace: str, *args: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "KUBECONFIG": str(product.cluster.kubeconfig)}
    argv = [sys.executable, "-m", "millpond", "rollout", *args, "-n", namespace]
    return subprocess.run(argv, env=env, capture_output=True, text=True, timeout=200)


def status(product: Product, namespace: str, *more: str) -> tuple[int, dict[str, Any]]:
    done = millpond(product, namespace, "status", "web", "-o", "json", *more)
    return done.returncode, json.loads(done.stdout)


def test_a_pipeline_rolls_out_waits_and_goes_back(product: Product, namespace: str) -> None:
    product.apply(elastic_app(namespace, rollout=QUICK))
    code, told = status(product, namespace, "--wait", "--timeout", "60s")
    assert code == 0, told
    changed = {**elastic_app(namespace, edition="v2", rollout=QUICK, template=template(SLOTS="3"))}
    product.apply(changed)
    code, told = status(product, namespace, "--wait", "--timeout", "90s")
    assert (code, told["edition"], told["phase"]) == (0, "v2", "Completed")
    assert millpond(product, namespace, "undo", "web").returncode == 0
    code, told = status(product, namespace, "--wait", "--timeout", "90s")
    assert (code, told["edition"], told["from"]) == (0, "v1", "v2")


def test_a_pipeline_is_told_when_an_edition_was_taken_back_and_can_abort_one(
    product: Product, namespace: str
) -> None:
    product.apply(elastic_app(namespace, rollout=QUICK))
    product.wait_serving(namespace)
    broken = template()
    broken["spec"]["containers"][0]["command"] = ["false"]
    product.apply(elastic_app(namespace, edition="v2", rollout=QUICK, template=broken))
    code, told = status(product, namespace, "--wait", "--timeout", "120s")
    assert (code, told["phase"], told["reason"]) == (1, "RolledBack", "DeadlineExceeded")
    assert "ends again and again" in told["message"]
    product.apply(elastic_app(namespace, edition="v3", rollout={"soak": "1s"}, template=broken))
    eventually(lambda: status(product, namespace)[0] == 124, 30, "v3 is under way")
    assert millpond(product, namespace, "abort", "web").returncode == 0
    code, told = status(product, namespace, "--wait", "--timeout", "60s")
    assert (code, told["phase"]) == (1, "Aborted")
    assert product.ask(f"web.{namespace}.test").status_code == 200


def test_a_pipeline_is_told_that_somebody_must_promote_pause_and_resume(
    product: Product, namespace: str
) -> None:
    """Meanwhile testers reach it by header and by host, and nobody else does."""
    preview = {"header": "x-millpond-edition", "host": f"preview.{namespace}.test"}
    how = {"strategy": "BlueGreen", "approval": True, "preview": preview, **QUICK}
    product.apply(elastic_app(namespace, rollout=how))
    product.wait_serving(namespace)
    product.apply(elastic_app(namespace, edition="v2", rollout=how, template=template(SLOTS="3")))
    code, told = status(product, namespace, "--wait", "--timeout", "90s")
    assert (code, told["phase"], told["needs"]) == (3, "Validating", "promote")
    states = {
        e["spec"]["edition"]: e["status"]["state"] for e in product.get("editions", "-n", namespace)["items"]
    }
    assert states == {"v1": "Active", "v2": "Validating"}
    host, url = f"web.{namespace}.test", f"http://{product.addresses['r1']}/"
    for headers, edition in (
        ({"Host": host, "x-millpond-edition": "v2"}, "v2"),
        ({"Host": f"preview.{namespace}.test"}, "v2"),
        ({"Host": host}, "v1"),
    ):
        server = asking.get(url, headers=headers, timeout=10).json()["server"]
        assert server.startswith(f"web-{edition}-"), headers
    assert millpond(product, namespace, "pause", "web").returncode == 0
    eventually(lambda: status(product, namespace)[1]["phase"] == "Paused", 20, "it is paused")
    assert millpond(product, namespace, "resume", "web").returncode == 0
    eventually(lambda: status(product, namespace)[1]["needs"] == "promote", 30, "it waits again")
    assert millpond(product, namespace, "promote", "web").returncode == 0
    code, told = status(product, namespace, "--wait", "--timeout", "90s")
    assert (code, told["phase"]) == (0, "Completed")
    waited = product.cluster.kubectl(
        "wait", "--for=condition=RollingOut=False", "elasticapp/web", "-n", namespace, "--timeout=30s"
    )
    assert "condition met" in waited


def test_only_so_many_retired_editions_are_kept(product: Product, namespace: str) -> None:
    how = {"historyLimit": 1, "rollout": {"strategy": "Atomic", "soak": "0s"}}
    product.apply(elastic_app(namespace, **how))
    product.wait_serving(namespace)
    for edition, slots in (("v2", "3"), ("v3", "4")):
        product.apply(elastic_app(namespace, edition=edition, template=template(SLOTS=slots), **how))
        code, told = status(product, namespace, "--wait", "--timeout", "90s")
        assert code == 0, told

    def kept() -> bool:
        found = product.get("editions", "-n", namespace)["items"]
        states = {e["spec"]["edition"]: e.get("status", {}).get("state") for e in found}
        return states == {"v2": "Retired", "v3": "Active"}

    eventually(kept, 60, "v1 is forgotten, v2 is kept for an undo")
    refused = millpond(product, namespace, "undo", "web", "--to-edition", "v1")
    assert refused.returncode == 1
    assert "v2" in refused.stderr
