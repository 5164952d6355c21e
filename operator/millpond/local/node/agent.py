"""The node agent: pods of the API server on one side, processes on the other."""

import asyncio
import logging
import shutil
from pathlib import Path

import msgspec

from millpond.clock import Clock
from millpond.local.node.api import Api, Json
from millpond.local.node.asking import Asker
from millpond.local.node.config import NodeConfig
from millpond.local.node.containers.logtimes import LogKeeper
from millpond.local.node.events import Events
from millpond.local.node.figures.usage import Usage
from millpond.local.node.host import Host
from millpond.local.node.pods import leftovers, podstatus, quantity
from millpond.local.node.pods.addresses import Addresses, NoAddress
from millpond.local.node.pods.pod import PodRunner
from millpond.local.node.pods.podview import PodView
from millpond.local.node.registration import Registration, allocatable
from millpond.local.node.server import Server
from millpond.local.node.state import write_atomically
from millpond.local.node.watching import watch_pods

log = logging.getLogger(__name__)


async def run(config: NodeConfig, kubeconfig: Path, clock: Clock) -> None:
    """Until cancelled; then pods keep running for the next agent."""
    config.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    async with Api(kubeconfig) as api:
        host = Host(
            config=config, api=api, asker=Asker(), events=Events(api, config.name, clock), clock=clock
        )
        agent = Agent(host)
        try:
            await agent.run()
        finally:
            await agent.leave()
            await host.asker.close()


class Agent:
    def __init__(self, host: Host) -> None:
        self._host, self._config = host, host.config
        self.pods: dict[str, PodRunner] = {}  # by uid
        self._folder = host.config.state_dir / "pods"
        self._addresses = Addresses(host.config.addresses, host.config.state_dir / "last-address")
        self._usage = Usage(self.pods)
        self._clearing: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        keeper = LogKeeper(self._writing, self._host.clock)
        server = Server(self._host, self.pods, self._usage, keeper)
        registration = Registration(self._config, self._host.api, self._host.clock, await server.start())
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(registration.run())
                group.create_task(self._usage.run())
                group.create_task(keeper.run())
                group.create_task(
                    watch_pods(self._host.api, self._config.name, listed=self._listed, seen=self._seen)
                )
        finally:
            await server.stop()

    async def leave(self) -> None:
        await asyncio.gather(*(pod.leave() for pod in self.pods.values()))
        for task in self._clearing:
            task.cancel()

    def _writing(self) -> list[Path]:
        """The logs that processes write now."""
        runners = [c for pod in self.pods.values() for c in (*pod.init, *pod.containers)]
        return [c.log(c.state.restarts) for c in runners if c.state.running]

    def _listed(self, pods: list[Json]) -> None:
        uids = {pod["metadata"]["uid"] for pod in pods}
        for uid in self.pods.keys() - uids:
            self._forget(uid)
        leftovers.clear(self._folder, keep=uids | self.pods.keys(), node=self._config.name)
        known = {uid for uid in uids if (self._folder / uid / "pod.json").exists()}
        for pod in sorted(
            pods, key=lambda p: p["metadata"]["uid"] not in known
        ):  # adopt before admitting others
            self._upsert(pod)

    def _seen(self, kind: str, pod: Json) -> None:
        if kind == "DELETED":
            self._forget(pod["metadata"]["uid"])
        else:
            self._upsert(pod)

    def _upsert(self, pod: Json) -> None:
        uid = pod["metadata"]["uid"]
        try:
            if uid in self.pods:
                self.pods[uid].update(pod)
            else:
                self.pods[uid] = self._admitted(pod)
        except Exception:  # one odd pod must not take the node down with all others
            log.exception("pod %s cannot be followed", pod["metadata"]["name"])

    def _admitted(self, pod: Json) -> PodRunner:
        folder = self._folder / pod["metadata"]["uid"]
        record = folder / "pod.json"
        ip, refused = "", None
        if record.exists():
            ip = msgspec.json.decode(record.read_bytes())["ip"]
        elif pod.get("status", {}).get("phase") not in podstatus.FINAL:
            refused = self._excess(pod)
            try:
                ip = (
                    "" if refused else self._addresses.take(p.view.ip for p in self.pods.values() if p.active)
                )
            except NoAddress as e:
                refused = podstatus.Verdict("OutOfAddresses", str(e))
        if refused:
            log.info("pod %s refused: %s", pod["metadata"]["name"], refused.message)
        elif ip:
            folder.mkdir(parents=True, exist_ok=True)
            write_atomically(record, msgspec.json.encode({"ip": ip}))
        view = PodView(
            json=pod,
            ip=ip,
            host_ip=self._config.address,
            folder=folder,
            allocatable=allocatable(self._config),
        )
        return PodRunner(view, self._host, refused)

    def _excess(self, pod: Json) -> podstatus.Verdict | None:
        """The kubelet's admission: does it still fit, whoever bound it?"""
        limits = {name: quantity.parse(amount) for name, amount in allocatable(self._config).items()}
        used = [quantity.requests(p.view.json) for p in self.pods.values() if p.active]
        for name, asked in quantity.requests(pod).items():
            taken = sum(u.get(name, quantity.ZERO) for u in used)
            if name in limits and asked and taken + asked > limits[name]:
                figures = (
                    f"requested: {float(asked):g}, used: {float(taken):g}, capacity: {float(limits[name]):g}"
                )
                message = f"Pod was rejected: Node didn't have enough resource: {name}, {figures}"
                return podstatus.Verdict(f"OutOf{name}", message)
        return None

    def _forget(self, uid: str) -> None:
        if (pod := self.pods.get(uid)) and not any(t.get_name() == uid for t in self._clearing):
            task = asyncio.create_task(self._clear(uid, pod), name=uid)
            self._clearing.add(task)
            task.add_done_callback(self._clearing.discard)

    async def _clear(self, uid: str, pod: PodRunner) -> None:
        await pod.gone()
        shutil.rmtree(pod.view.folder, ignore_errors=True)
        self.pods.pop(uid, None)
