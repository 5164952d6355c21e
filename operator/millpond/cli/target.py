"""Which cluster and namespace a verb is about, and asking the API server there with the caller's own rights."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import click

from millpond.cli.releases import said
from millpond.cli.shell import contexts
from millpond.kube.client import Api
from millpond.kube.errors import ApiError

T = TypeVar("T")

_ACCOUNT_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


@dataclass(frozen=True, slots=True)
class Target:
    """``kubeconfig`` None: in a pod, by its service account; several files are separated as in $KUBECONFIG."""

    kubeconfig: Path | None
    context: str | None
    namespace: str

    @classmethod
    def of(cls, kubeconfig: Path | None, context: str | None, namespace: str | None) -> "Target":
        """From the options of a verb; ClickException says where it looked and what would be right."""
        asked = contexts.asked_for(kubeconfig)
        if files := contexts.files(asked):
            found = contexts.Contexts.of(files)
            chosen = found.choose(context, asked)
            there = namespace or found.namespace(chosen) or "default"
            return cls(Path(os.pathsep.join(map(str, files))), chosen, there)
        if kubeconfig is None and context is None and os.environ.get("KUBERNETES_SERVICE_HOST"):
            return cls(None, None, namespace or _namespace_of_pod())
        raise click.ClickException(f"no kubeconfig at {asked}: name one with --kubeconfig or KUBECONFIG")

    def run(self, task: Callable[[Api], Awaitable[T]]) -> T:
        """What ``task`` returns; what the API server refuses ends the program with one line and exit code 1."""
        try:
            return asyncio.run(self.connected(task))
        except ApiError as error:
            raise click.ClickException(said(error)) from error

    async def connected(self, task: Callable[[Api], Awaitable[T]]) -> T:
        api = Api(self.kubeconfig, context=self.context)
        try:
            return await task(api)
        finally:
            await api.close()


def _namespace_of_pod() -> str:
    try:
        return os.environ.get("POD_NAMESPACE") or _ACCOUNT_NAMESPACE.read_text().strip() or "default"
    except OSError:
        return "default"
