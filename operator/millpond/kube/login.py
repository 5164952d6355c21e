"""Where the API server is and who we are there: from a kubeconfig, or from the pod's service account."""

import asyncio
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from kubernetes.aio.client import Configuration
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config
from kubernetes.aio.config.incluster_config import SERVICE_CERT_FILENAME, SERVICE_TOKEN_FILENAME

from millpond.kube.errors import Forbidden

_LOADING = threading.Lock()
_FILE_KEYS = ("tokenFile", "client-certificate", "client-key", "certificate-authority")


class Login:
    """Reads the credentials, and tells by `stamps` whether the files they come from changed (a rotated token)."""

    def __init__(self, kubeconfig: Path | None = None, context: str | None = None) -> None:
        """``kubeconfig`` None: the service account of the pod that this runs in; several files: separated as in
        $KUBECONFIG. ``context`` None: the current one."""
        self._kubeconfig = kubeconfig
        self._context = context

    async def configuration(self) -> Configuration:
        """The credentials as they are now; raises Forbidden with a sentence when they cannot be read."""
        try:
            return await asyncio.to_thread(self._load)
        except (ConfigException, OSError, yaml.YAMLError, TypeError) as error:
            where = self._kubeconfig or "the service account of this pod"
            raise Forbidden(f"cannot log in with {where}: {error}") from error

    def _load(self) -> Configuration:
        """One at a time: the library puts certificates into files that another thread might find still empty."""
        configuration = Configuration()
        with _LOADING:
            if self._kubeconfig is None:
                load_incluster_config(configuration, try_refresh_token=False)
            else:
                where = str(self._kubeconfig)
                asyncio.run(load_kube_config(where, self._context, configuration, persist_config=False))
        return configuration

    async def stamps(self) -> Mapping[Path, int]:
        """The files that count, and when each was written last."""
        return await asyncio.to_thread(lambda: {f: f.stat().st_mtime_ns for f in self._files() if f.exists()})

    def _files(self) -> tuple[Path, ...]:
        if self._kubeconfig is None:
            return (Path(SERVICE_TOKEN_FILENAME), Path(SERVICE_CERT_FILENAME))
        files = [Path(name).expanduser() for name in str(self._kubeconfig).split(os.pathsep) if name]
        return (*files, *(named for file in files for named in _named_in(file)))


def _named_in(kubeconfig: Path) -> list[Path]:
    """Files that a kubeconfig points to."""
    try:
        content: Any = yaml.safe_load(kubeconfig.read_text())
        entries = [*(u["user"] for u in content["users"]), *(c["cluster"] for c in content["clusters"])]
        names = [entry[key] for entry in entries if entry for key in _FILE_KEYS if key in entry]
    except (OSError, yaml.YAMLError, KeyError, TypeError):
        return []  # loading it will say what is wrong
    return [kubeconfig.parent / name for name in names]
