"""The sample application's image, run as a pod without a command of its own."""

import json

import pytest

from image.conftest import Image
from image.lockfile import pinned
from waiting import eventually

pytestmark = pytest.mark.kind


def test_it_serves_on_every_address_and_finishes_when_told(sample_app: Image) -> None:
    with sample_app.started(env=("POD_IP=192.0.2.1", "EDITION=v7", "SERVICE_TIME_MS=5")) as shop:
        for address in ("127.0.0.1", "127.0.0.2"):
            eventually(lambda a=address: "ready" in shop.get(f"http://{a}:8080/readyz"), 30, "it is ready")
        assert json.loads(shop.get("http://127.0.0.1:8080/"))["server"] == shop.container[:12]
        assert shop.stop() == 0


def test_a_bad_setting_is_named(sample_app: Image) -> None:
    refused = sample_app.attempt(options=("--env=SLOTS=none",))
    assert (refused.returncode, "SLOTS='none'" in refused.stderr) == (1, True)


def test_it_runs_without_rights_and_has_what_its_own_lock_says(sample_app: Image) -> None:
    ask = "import json, os; from importlib.metadata import distributions\n"
    ask += "print(json.dumps([os.getuid(), *[(d.metadata['Name'], d.version) for d in distributions()]]))"
    user, *installed = json.loads(sample_app.python(ask))
    assert user == 65532
    assert {(name.lower().replace("_", "-"), version) for name, version in installed} == set(
        pinned("examples/sample_app/requirements.lock")
    )
