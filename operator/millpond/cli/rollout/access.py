"""How a verb reaches the cluster: with the caller's own kubeconfig and rights, or the service account of a CI pod."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click
import yaml

from millpond.cli.rollout.edits import Refused
from millpond.cli.rollout.template import TemplateError
from millpond.kube.client import Api
from millpond.kube.errors import ClusterError
from millpond.kube.releases import Releases, said

T = TypeVar("T")
Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def where(command: Decorated) -> Decorated:
    """The options that every verb has."""
    namespace = click.option("-n", "--namespace", help="Namespace of the app.  [default: as kubectl's]")
    kubeconfig = click.option(
        "--kubeconfig", type=click.Path(path_type=Path), help="Default: $KUBECONFIG, ~/.kube/config."
    )
    return namespace(kubeconfig(command))


@dataclass(frozen=True, slots=True)
class Place:
    """``kubeconfig`` None: in a pod, by its service account."""

    kubeconfig: Path | None
    namespace: str

    @classmethod
    def of(cls, kubeconfig: Path | None, namespace: str | None) -> "Place":
        path = kubeconfig or Path(os.environ.get("KUBECONFIG") or Path.home() / ".kube" / "config")
        if path.exists():
            return cls(path, namespace or _namespace_in(path) or "default")
        if kubeconfig is None and os.environ.get("KUBERNETES_SERVICE_HOST"):
            return cls(None, namespace or "default")
        raise click.ClickException(f"no kubeconfig at {path}: name one with --kubeconfig or KUBECONFIG")

    def run(self, app: str, task: Callable[[Releases], Awaitable[T]]) -> T:
        """What ``task`` returns; its errors end the program with one line and exit code 1."""
        try:
            return asyncio.run(self.connected(app, task))
        except ClusterError as error:
            raise click.ClickException(said(error)) from error
        except Refused as refused:
            raise click.ClickException(f"{self.namespace}/{app}: {refused}") from refused
        except TemplateError as error:
            raise click.UsageError(str(error)) from error

    async def connected(self, app: str, task: Callable[[Releases], Awaitable[T]]) -> T:
        api = Api(self.kubeconfig)
        try:
            return await task(Releases(api, self.namespace, app))
        finally:
            await api.close()


def _namespace_in(kubeconfig: Path) -> str | None:
    """Of the current context; a file that cannot be read is reported by whoever logs in with it."""
    try:
        content = yaml.safe_load(kubeconfig.read_text())
        current = content["current-context"]
        named = {entry["name"]: entry["context"] for entry in content["contexts"]}
        found = named[current].get("namespace")
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError):
        return None
    return str(found) if found else None
