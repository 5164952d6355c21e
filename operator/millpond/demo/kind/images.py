"""The images of a demo: Millpond's and the sample application's, and those that are the latter with settings."""

from collections.abc import Mapping
from importlib import metadata

from millpond import paths
from millpond.demo.kind.tools import Tools
from millpond.demo.stage.stack import Say, StackError

VERSION = metadata.version("millpond")
SAMPLE = f"millpond.dev/sample-app:{VERSION}"


def repository(tools: Tools) -> str:
    """What the chart must call Millpond's image: podman puts a name of its own before short ones."""
    return "localhost/millpond" if tools.engine == "podman" else "millpond"


def ensure(tools: Tools, wanted: Mapping[str, Mapping[str, str]], say: Say) -> tuple[str, ...]:
    """All images that are needed are there now; answers their names. `wanted`: image -> settings of the sample app.

    Raises StackError: they are not there, and there is no checkout to make them from.
    """
    own = (f"{repository(tools)}:{VERSION}", SAMPLE)
    missing = [image for image in own if not _there(tools, image)]
    if missing:
        _make(tools, missing, say)
    for image, settings in wanted.items():
        if image != SAMPLE:
            _with_settings(tools, image, settings)
    return tuple(dict.fromkeys((*own, *wanted)))


def _there(tools: Tools, image: str) -> bool:
    return tools.ask(tools.engine, "image", "inspect", image) is not None


def _make(tools: Tools, missing: list[str], say: Say) -> None:
    checkout = paths.chart().parent.parent
    if not (checkout / "Containerfile").is_file():
        raise StackError(f"no image {', '.join(missing)}: `make image` in a checkout of Millpond makes it")
    say(f"no image {', '.join(missing)}: make image")
    tools.run("make", "-C", str(checkout), "image", f"ENGINE={tools.engine}", timeout_s=1800)


def _with_settings(tools: Tools, image: str, settings: Mapping[str, str]) -> None:
    """The sample application with other defaults: no layer more, so it takes next to no room or time."""
    lines = [f"FROM {SAMPLE}", *(f"ENV {name}={value}" for name, value in settings.items())]
    tools.run(tools.engine, "build", "--tag", image, "-", stdin="\n".join(lines) + "\n")
