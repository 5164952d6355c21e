"""A demo on kind: the cluster, the release and the example; what was there before is left as it was."""

import secrets
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from millpond import paths
from millpond.api.names import NAMESPACE
from millpond.demo.kind import books, images, tools
from millpond.demo.kind.cluster import POOL, POOL_LABEL, KindCluster
from millpond.demo.kind.example import Example
from millpond.demo.kind.explain import explain
from millpond.demo.kind.release import Release
from millpond.demo.requests import loading
from millpond.demo.requests.accounts import Processed, read_ledgers
from millpond.demo.scenario import Scenario
from millpond.demo.stage.served import wait_until_served
from millpond.demo.stage.stack import Say, StackError
from millpond.local import folders
from millpond.local.errors import ClusterError
from millpond.local.processes.process import Process, launch


class KindStack:
    """A running stack; at its end the cluster goes, or what it got for the demo."""

    def __init__(self, cluster: KindCluster, scenario: Scenario, say: Say, *, created: bool) -> None:
        self.cluster, self.release = cluster, Release(cluster)
        self.keeps_books = False
        self._scenario, self._say, self._created = scenario, say, created
        self._run = f"run-{secrets.token_hex(3)}"
        self._undo: list[Callable[[], object]] = []
        self._loads: list[Process] = []
        self._port = 0
        self._books = Path()

    @classmethod
    def start(cls, scenario: Scenario, say: Say, reused: str | None = None) -> "KindStack":
        """`reused`: a cluster that is there, and stays. Raises StackError or ClusterError; then nothing is left."""
        found = tools.find()
        needed = images.ensure(found, scenario.images, say)
        name = f"millpond-{scenario.name}-{secrets.token_hex(2)}"
        folder = folders.clusters().parent / "kind" / name
        cluster = (
            KindCluster.reuse(found, reused, folder)
            if reused
            else KindCluster.create(found, name, folder, say)
        )
        stack = cls(cluster, scenario, say, created=not reused)
        try:
            stack._start_parts(needed)
        except (StackError, ClusterError) as error:
            say(stack.explanation())
            stack.stop()
            raise StackError(str(error)) from error
        except BaseException:
            stack.stop()
            raise
        return stack

    def _start_parts(self, needed: tuple[str, ...]) -> None:
        example = Example(self, self._scenario, self._say)
        example.check()
        self.cluster.load(needed, self._say)
        self._label_nodes()
        if self.release.exists:
            self._say("Millpond is installed there already, and stays")
        else:
            self._install()
        self._port = self.cluster.host_port(self.release.node_port)
        self._undo.append(example.remove)
        example.make_namespace()
        if self._scenario.script:
            self._keep_books()
        example.apply()
        wait_until_served(self, self._scenario, lambda: None, self._say)

    def _label_nodes(self) -> None:
        if not self.kubectl("get", "nodes", f"--selector={POOL}", "-o", "name").strip():
            nodes = self.cluster.workers
            self._undo.append(lambda: self.kubectl("label", "nodes", *nodes, f"{POOL_LABEL}-"))
            self.kubectl("label", "nodes", *nodes, POOL)

    def _install(self) -> None:
        """And how it goes again: `helm uninstall` leaves its custom resources and the namespace."""
        ours = self.kubectl("get", "customresourcedefinitions", "-o", "name").count("millpond.dev")
        if not ours:
            crds = ("-f", str(paths.chart() / "crds"))
            self._undo.append(lambda: self.kubectl("delete", *crds, "--ignore-not-found", "--timeout=60s"))
        if not self.kubectl("get", "namespace", NAMESPACE, "--ignore-not-found", "-o", "name").strip():
            gone = ("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=120s")
            self._undo.append(lambda: self.kubectl(*gone))
        self._undo.append(lambda: self.release.uninstall(self._say))
        self.release.install(self._say)

    def _keep_books(self) -> None:
        """Where it can be done: servers write into a folder of this machine."""
        shared = self.cluster.books
        if shared is None:
            return
        folder = shared / self._run
        folder.mkdir()
        folder.chmod(0o777)  # servers write there as whoever they are
        self._undo.append(lambda: books.end(self))
        books.keep(self, self._scenario.namespace, self._run)
        self._books, self.keeps_books = folder, True

    @property
    def folder(self) -> Path:
        return self.cluster.folder

    @property
    def kubeconfig(self) -> Path:
        return self.cluster.kubeconfig

    def kubectl(self, *args: str, stdin: str | None = None) -> str:
        return self.cluster.kubectl(*args, stdin=stdin)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/"

    def routed(self) -> int | None:
        return self.release.routed()

    def processed(self) -> Processed:
        return read_ledgers(self._books, loading.ID_PREFIX) if self.keeps_books else {}

    def start_load(self, out: Path, answers: Path) -> Process:
        argv = loading.command(self._scenario, self.url, out, answers)
        load = launch("load", argv, cluster_id=self._run, log_path=self.folder / "load.log", env={})
        self._loads.append(load)
        return load

    def explanation(self) -> str:
        text = explain(self, (self._scenario.namespace,))
        self.cluster.export_logs(self._say)
        return text

    def stop(self) -> None:
        with _undisturbed():
            for load in self._loads:
                load.kill()
            if self._created:
                self.cluster.delete(self._say)
            else:
                self._restore()

    def _restore(self) -> None:
        self._say(f"removing what cluster {self.cluster.name} got for the demo")
        while self._undo:
            try:
                self._undo.pop()()
            except (StackError, ClusterError) as error:
                self._say(f"left behind: {error}")
        self.cluster.forget()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


@contextmanager
def _undisturbed() -> Iterator[None]:
    """A second Ctrl-C does not leave half a cluster behind."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
