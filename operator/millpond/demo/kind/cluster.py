"""A kind cluster: one control plane, three workers that are the pool, and one port of this machine for the routers."""

import json
import os
import shutil
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from millpond.demo.kind.tools import Tools
from millpond.demo.stage.stack import Say, StackError
from millpond.local.errors import KubectlError
from millpond.ports import free_port

NODE_PORT = 30080
WORKERS = 3
POOL_LABEL = "millpond.dev/pool"
POOL = f"{POOL_LABEL}=default"
BOOKS = "/millpond-books"
"""On the workers: a folder of this machine, where servers write down what they worked on."""
_ADDRESS = "127.0.0.1"
_READY_S = 240


@dataclass(frozen=True, slots=True, kw_only=True)
class KindCluster:
    name: str
    folder: Path
    """For what is written down about it."""
    tools: Tools
    workers: tuple[str, ...] = field(default=())
    """The containers that are its nodes but the control plane's; all nodes where there is no other."""

    @classmethod
    def create(cls, tools: Tools, name: str, folder: Path, say: Say) -> "KindCluster":
        """All its pods are ready. Raises StackError; then nothing is left but the logs in out/."""
        image = os.environ.get("KIND_NODE_IMAGE")
        say(f"creating the kind cluster {name}: 1 + {WORKERS} nodes" + (f" of {image}" if image else ""))
        began_s = time.monotonic()
        books = folder / "books"
        books.mkdir(parents=True)
        cluster = cls(name=name, folder=folder, tools=tools)
        argv = ["kind", "create", "cluster", "--name", name, "--kubeconfig", str(cluster.kubeconfig)]
        argv += [
            "--config",
            "-",
            "--wait",
            f"{_READY_S}s",
            "--retain",
            *(["--image", image] if image else []),
        ]
        try:
            tools.run(*argv, stdin=json.dumps(configuration(free_port(), books)))
            cluster.kubectl("wait", "-A", "--for=condition=Ready", "pods", "--all", f"--timeout={_READY_S}s")
            found = cls(name=name, folder=folder, tools=tools, workers=cluster._find_workers())
        except BaseException:
            cluster.export_logs(say)
            cluster.delete(say)
            raise
        say(f"the cluster is ready ({time.monotonic() - began_s:.0f} s)")
        return found

    @classmethod
    def reuse(cls, tools: Tools, name: str, folder: Path) -> "KindCluster":
        """One that somebody else made. Raises StackError when there is none of this name."""
        there = tools.run("kind", "get", "clusters").split()
        if name not in there:
            raise StackError(f"no kind cluster {name!r}; there are: {', '.join(there) or 'none'}")
        folder.mkdir(parents=True, exist_ok=True)
        cluster = cls(name=name, folder=folder, tools=tools)
        cluster.kubeconfig.touch(mode=0o600)
        cluster.kubeconfig.write_text(tools.run("kind", "get", "kubeconfig", "--name", name))
        return cls(name=name, folder=folder, tools=tools, workers=cluster._find_workers())

    @property
    def kubeconfig(self) -> Path:
        """The administrator's; only of this cluster, the user's own is left alone."""
        return self.folder / "kubeconfig"

    def kubectl(self, *args: str, stdin: str | None = None) -> str:
        """Raises KubectlError."""
        argv = ["kubectl", f"--kubeconfig={self.kubeconfig}", *args]
        done = subprocess.run(
            argv, input=stdin or "", capture_output=True, text=True, start_new_session=True, check=False
        )
        if done.returncode:
            raise KubectlError(f"kubectl {' '.join(args)}: {done.stderr.strip()}")
        return done.stdout

    def host_port(self, node_port: int) -> int:
        """The port of this machine that leads to that of the nodes. Raises StackError when there is none."""
        for node in self.tools.run("kind", "get", "nodes", "--name", self.name).split():
            mapped = self.tools.ask(self.tools.engine, "port", node, f"{node_port}/tcp") or ""
            for line in mapped.splitlines():
                address, _, port = line.strip().rpartition(":")
                if address in (_ADDRESS, "0.0.0.0"):
                    return int(port)
        example = {"containerPort": node_port, "hostPort": node_port, "listenAddress": _ADDRESS}
        raise StackError(
            f"kind cluster {self.name}: no port of this machine leads to node port {node_port}. "
            f"It must be created with `extraPortMappings: [{json.dumps(example)}]` at one of its nodes"
        )

    @property
    def books(self) -> Path | None:
        """The folder of this machine that all workers have as BOOKS; None: there is none."""
        form = '{{range .Mounts}}{{if eq .Destination "' + BOOKS + '"}}{{.Source}}{{end}}{{end}}'
        sources = {
            (self.tools.ask(self.tools.engine, "inspect", "-f", form, node) or "").strip()
            for node in self.workers
        }
        source = sources.pop() if len(sources) == 1 else ""
        return Path(source) if source and Path(source).is_dir() else None

    def load(self, images: tuple[str, ...], say: Say) -> None:
        """Onto the workers; what is there already is not loaded again."""
        began_s = time.monotonic()
        nodes = ",".join(self.workers)
        say(f"loading {', '.join(images)}")
        self.tools.run("kind", "load", "docker-image", *images, "--name", self.name, "--nodes", nodes)
        say(f"the images are on the nodes ({time.monotonic() - began_s:.0f} s)")

    def export_logs(self, say: Say) -> None:
        """Everything that kind finds, into out/."""
        target = Path("out") / f"kind-{self.name}"
        with suppress(StackError):
            self.tools.run("kind", "export", "logs", str(target), "--name", self.name, timeout_s=120)
            say(f"logs of all nodes and pods: {target}")

    def delete(self, say: Say) -> None:
        say(f"deleting the kind cluster {self.name}")
        argv = ("kind", "delete", "cluster", "--name", self.name, "--kubeconfig", str(self.kubeconfig))
        try:
            self.tools.run(*argv, timeout_s=120)
        except StackError as error:
            say(f"it may be there still: {error}")
        self.forget()

    def forget(self) -> None:
        """What was written down about it."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _find_workers(self) -> tuple[str, ...]:
        nodes = sorted(self.tools.run("kind", "get", "nodes", "--name", self.name).split())
        return tuple(n for n in nodes if "control-plane" not in n and "load-balancer" not in n) or tuple(
            nodes
        )


def configuration(port: int, books: Path) -> dict[str, object]:
    """What kind is to make: `port` of this machine leads to the routers' node port, `books` is a folder of it."""
    books.chmod(0o777)  # servers write there as whoever they are
    mount = {"hostPath": str(books.absolute()), "containerPath": BOOKS}
    key, _, value = POOL.partition("=")
    worker = {"role": "worker", "labels": {key: value}, "extraMounts": [mount]}
    way = {"containerPort": NODE_PORT, "hostPort": port, "listenAddress": _ADDRESS}
    return {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "nodes": [{"role": "control-plane", "extraPortMappings": [way]}, *[worker] * WORKERS],
        # Old hosts have control groups of version 1 only, with which kubelets start if they are told to.
        "kubeadmConfigPatches": ["kind: KubeletConfiguration\nfailCgroupV1: false\n"],
    }
