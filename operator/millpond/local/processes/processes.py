"""All processes that a cluster started, remembered on disk so that `down` finds them again."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from millpond.local import record
from millpond.local.errors import ClusterError, PortTaken
from millpond.local.processes.process import Process, found_again, launch
from millpond.local.record import Record, RunningProcess

_PORT_TAKEN = "address already in use"


class Processes:
    def __init__(self, folder: Path, remembered: Record) -> None:
        self._folder = folder
        self._record = remembered
        self._known: dict[str, Process] = {}
        for name, running in remembered.processes.items():
            if process := found_again(name, running.pid, running.started_s, self._log(name)):
                self._known[name] = process

    def __iter__(self) -> Iterator[Process]:
        return iter(list(self._known.values()))

    def start(
        self, name: str, argv: Sequence[str], env: Mapping[str, str] | None = None, *, log: bool = True
    ) -> Process:
        """Raises ClusterError when this name runs already, OSError when `argv` can't be started."""
        if self.alive(name):
            raise ClusterError(f"{name} runs already in cluster {self._record.name}")
        process = launch(
            name, argv, cluster_id=self._record.id, log_path=self._log(name), env=env or {}, log=log
        )
        self._known[name] = process
        self._record.processes[name] = RunningProcess(process.pid, process.started_s)
        record.save(self._folder, self._record)
        return process

    def get(self, name: str) -> Process:
        if name not in self._known:
            raise ClusterError(f"no process {name} in cluster {self._record.name}: {', '.join(self._known)}")
        return self._known[name]

    def alive(self, name: str) -> bool:
        return name in self._known and self._known[name].alive

    def check(self, names: Collection[str]) -> None:
        """Raises ClusterError, with the end of its log, when one of `names` has ended."""
        for name in names:
            if not self.alive(name):
                ended = self.get(name)
                tail = ended.log_tail()
                kind = PortTaken if _PORT_TAKEN in tail else ClusterError
                raise kind(f"{name} ended; the end of {ended.log_path}:\n{tail}")

    def stop(self, processes: Collection[Process], grace_s: float) -> None:
        """Ask them all to end, then wait for each up to `grace_s`, then kill."""
        for process in processes:
            process.terminate()
        for process in processes:
            process.stop(grace_s)

    def _log(self, name: str) -> Path:
        return self._folder / "logs" / f"{name}.log"
