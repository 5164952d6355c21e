"""The programs that kind needs: found or asked for, and run with their last words when they fail."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from millpond.demo.stage.stack import StackError

_SHOWN = 30  # lines of what a program printed
_WHERE = {
    "docker or podman": "https://docs.docker.com/engine/install/ or https://podman.io/docs/installation",
    "kind": "https://kind.sigs.k8s.io/docs/user/quick-start/#installation",
    "kubectl": "https://kubernetes.io/docs/tasks/tools/",
    "helm": "https://helm.sh/docs/intro/install/",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    engine: str
    """docker or podman."""
    env: Mapping[str, str] = field(default_factory=dict)

    def run(self, *argv: str, stdin: str = "", timeout_s: float = 600) -> str:
        """What it prints. Raises StackError with its last words. Ctrl-C reaches us alone, so that we can tidy up."""
        try:
            done = subprocess.run(
                argv,
                input=stdin,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout_s,
                env={**os.environ, **self.env},
                start_new_session=True,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise StackError(f"{_shown(argv)}: not done after {timeout_s:.0f} s") from error
        except OSError as error:
            raise StackError(f"{argv[0]} cannot be started: {error}") from error
        if done.returncode:
            said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-_SHOWN:]
            raise StackError("\n".join([f"{_shown(argv)} ended with {done.returncode}:", *said]))
        return done.stdout

    def ask(self, *argv: str, timeout_s: float = 60) -> str | None:
        """The same; None when it fails."""
        try:
            return self.run(*argv, timeout_s=timeout_s)
        except StackError:
            return None


def find() -> Tools:
    """Raises StackError, which names everything that is missing and where it is to be had."""
    missing = [name for name in ("kind", "kubectl", "helm") if shutil.which(name) is None]
    engines = [name for name in ("docker", "podman") if shutil.which(name)]
    if missing or not engines:
        absent = [*([] if engines else ["docker or podman"]), *missing]
        lines = [f"  {name}: {_WHERE[name]}" for name in absent]
        raise StackError("\n".join([f"not on the PATH: {', '.join(absent)}", *lines]))
    faults = []
    for engine in engines:
        env = {"KIND_EXPERIMENTAL_PROVIDER": engine} if engine == "podman" else {}
        tools = Tools(engine=engine, env=env)
        try:
            tools.run(engine, "info", timeout_s=30)
        except StackError as error:
            faults.append(str(error))
            continue
        return tools
    raise StackError(
        "\n".join(["no container engine answers: is its service running, and may you use it?", *faults])
    )


def _shown(argv: Sequence[str]) -> str:
    text = " ".join(argv)
    return text if len(text) <= 200 else text[:197] + "…"
