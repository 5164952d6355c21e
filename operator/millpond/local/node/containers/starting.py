"""From a container's spec to what is executed."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from millpond.local.node.api import UNREACHABLE, Json
from millpond.local.node.containers import environment
from millpond.local.node.containers.expansion import expand
from millpond.local.node.containers.processes import Process, launch
from millpond.local.node.host import Host
from millpond.local.node.pods.podview import PodView


class NoEntrypoint(Exception):
    """The container names no command and the node does not know its image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: Path

    def start(self, log: Path, exit_file: Path) -> Process:
        """Raises OSError when it cannot be started."""
        if not self.cwd.is_dir():
            raise FileNotFoundError(f"workingDir {str(self.cwd)!r} does not exist on this node")
        word = self.argv[0]
        found = shutil.which(self.cwd / word if "/" in word else word, path=self.env["PATH"])
        if not found:
            raise FileNotFoundError(f"exec: {word!r}: executable file not found in $PATH")
        return launch([found, *self.argv[1:]], env=self.env, cwd=self.cwd, log=log, exit_file=exit_file)


async def plan(spec: Json, pod: PodView, host: Host, mark: tuple[str, str]) -> Plan:
    """Raises ConfigError or NoEntrypoint; ``mark`` is a variable that names this run of the container."""

    async def fetch(kind: str, name: str) -> Json:
        try:
            return await host.api.get(f"/api/v1/namespaces/{pod.namespace}/{kind}/{name}")
        except UNREACHABLE as e:
            raise environment.ConfigError(f"{kind} {name}: the API server cannot be reached: {e}") from e

    variables = await environment.build(spec, pod.facts(), fetch)
    marks = dict([("MILLPOND_NODE", host.config.name), mark])
    env = environment.process_environment(variables, hostname=pod.hostname, home=pod.home, marks=marks)
    return Plan(
        argv=tuple(expand(word, variables) for word in _command(spec, host)),
        env=env,
        cwd=Path(spec["workingDir"]) if spec.get("workingDir") else pod.home,
    )


def _command(spec: Json, host: Host) -> list[str]:
    command = spec.get("command") or host.entrypoint(spec["image"])
    if not command:
        known = ", ".join(sorted(host.config.images)) or "none"
        raise NoEntrypoint(
            f"image {spec['image']!r} is not known to this process node (known: {known}) and nothing is pulled: "
            "give the container a command"
        )
    return [*command, *spec.get("args", ())]
