"""`millpond explain APP`: why an app has the servers it has, from what is recorded in the cluster."""

import asyncio
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from millpond.kube import paths
from millpond.kube.client import Api, Object
from millpond.kube.decisions import as_text
from millpond.kube.errors import ClusterError, NotFound


@click.command()
@click.argument("app")
@click.option("-n", "--namespace", default="default", show_default=True, help="Namespace of the app.")
@click.option("--kubeconfig", type=click.Path(path_type=Path), help="Default: $KUBECONFIG, ~/.kube/config.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def explain(app: str, namespace: str, kubeconfig: Path | None, output: str) -> None:
    """Print the last decisions about APP: what was decided, why, from which figures, and what was refused."""
    config = kubeconfig or _default_kubeconfig()
    if not config.is_file():
        raise click.ClickException(f"no kubeconfig at {config}: name one with --kubeconfig or KUBECONFIG")
    try:
        found = asyncio.run(_read(config, namespace, app))
    except ClusterError as error:
        raise click.ClickException(error.message) from error
    click.echo(json.dumps(_summary(found), indent=2) if output == "json" else describe(found))


def _default_kubeconfig() -> Path:
    return Path(os.environ.get("KUBECONFIG") or Path.home() / ".kube" / "config")


async def _read(kubeconfig: Path, namespace: str, app: str) -> Object:
    api = Api(kubeconfig)
    try:
        return await _find(api, namespace, app)
    finally:
        await api.close()


async def _find(api: Api, namespace: str, app: str) -> Object:
    try:
        return await api.get(paths.elasticapps(namespace, app))
    except NotFound:
        pass
    try:
        await api.get(paths.namespaces(namespace))
    except NotFound as error:
        raise click.ClickException(f"no namespace {namespace!r}") from error
    except ClusterError:
        pass  # a tenant may not read namespaces
    apps, _ = await api.list(paths.elasticapps(namespace))
    names = ", ".join(sorted(a["metadata"]["name"] for a in apps)) or "none"
    raise click.ClickException(f"no ElasticApp {app!r} in namespace {namespace!r} (there: {names})")


def _summary(app: Object) -> Mapping[str, Any]:
    status = app.get("status") or {}
    meta = app["metadata"]
    shown = {
        name: status[name]
        for name in ("edition", "goal", "servers", "conditions", "decisions")
        if name in status
    }
    return {"namespace": meta["namespace"], "name": meta["name"], **shown}


def describe(app: Object) -> str:
    """The whole report as text; ``app`` as the API server returns it."""
    status = app.get("status") or {}
    return "\n".join([*_head(app, status), "", *_conditions(status), "", *_decisions(status)])


def _head(app: Object, status: Mapping[str, Any]) -> list[str]:
    meta, servers = app["metadata"], status.get("servers") or {}
    counts = ", ".join(
        f"{servers[k]} {k}" for k in ("desired", "ready", "starting", "draining") if k in servers
    )
    return [
        f"{meta['namespace']}/{meta['name']}  edition {status.get('edition', 'unknown')}",
        f"  goal     {status.get('goal', 'not known yet')}",
        f"  servers  {counts or 'not known yet'}",
    ]


def _conditions(status: Mapping[str, Any]) -> list[str]:
    rows = [
        f"  {c['type']:<18} {c['status']:<8} {c.get('reason', '')}: {c.get('message', '')}".rstrip(": ")
        for c in status.get("conditions") or []
    ]
    return ["Conditions", *(rows or ["  none yet: has the operator seen this app?"])]


def _decisions(status: Mapping[str, Any]) -> list[str]:
    entries = status.get("decisions") or []
    return ["Decisions, newest first", *(map(as_text, entries) if entries else ["  none yet"])]
