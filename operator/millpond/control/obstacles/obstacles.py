"""What keeps a pod from serving, in words that stand still: no counters, no ages, nobody's random ports. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from millpond.control.obstacles.refusals import short
from millpond.control.obstacles.scheduling import unschedulable
from millpond_policies.reasons import Reason

Raw = Mapping[str, Any]
_PULLING = frozenset({"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "RegistryUnavailable"})
_CREATING = frozenset({"ContainerCreating", "PodInitializing"})
_UNREACHABLE = ("no such host", "timeout", "connection refused", "unreachable", "deadline exceeded", "tls: ")
_FORBIDDEN = ("unauthorized", "denied", "authentication", "forbidden", "401", "403")
_UNKNOWN = ("not found", "manifest unknown", "does not exist", "404")
_SOURCES = {
    "configMap": "name",
    "secret": "secretName",
    "persistentVolumeClaim": "claimName",
    "csi": "driver",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """``reason`` None: it just takes its time so far."""

    reason: Reason | None
    text: str
    creating: bool = False  # a node makes its containers: harmless, unless it takes long

    @property
    def rank(self) -> int:
        """0: nothing but a person's act helps; 1: it may go by."""
        return 0 if self.reason is not None else 1


def obstacle(raw: Raw) -> Obstacle | None:
    """The first thing that keeps this pod from serving; None when nothing is known to."""
    spec, status = raw.get("spec") or {}, raw.get("status") or {}
    if status.get("phase") in ("Failed", "Succeeded"):
        return None
    scheduled: Raw = next((c for c in status.get("conditions") or () if c["type"] == "PodScheduled"), {})
    if scheduled.get("reason") == "Unschedulable":
        return Obstacle(**unschedulable(spec, str(scheduled.get("message") or "")))
    found = [o for o in _of_containers(spec, status) if o is not None]
    return min(found, key=lambda o: o.rank, default=None) or _creating(raw, spec, status)


def _of_containers(spec: Raw, status: Raw) -> Iterable[Obstacle | None]:
    restarted = {
        c.get("name") for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"
    }
    for container in status.get("initContainerStatuses") or ():
        name = container.get("name")
        kind = "sidecar" if name in restarted else "init container"
        yield _of_container(container, kind)
    for container in status.get("containerStatuses") or ():
        yield _of_container(container, "container")


def _of_container(container: Raw, kind: str) -> Obstacle | None:
    state = container.get("state") or {}
    waiting = state.get("waiting") or {}
    name, image, why = container.get("name"), container.get("image"), str(waiting.get("reason") or "")
    said = str(waiting.get("message") or "")
    if why in _PULLING:
        text = f"image {image!r} of {kind} {name} cannot be pulled: {_pull(said, why)}"
        return Obstacle(reason=Reason.IMAGE_PULL_FAILED, text=text)
    if why == "InvalidImageName":
        text = f"{image!r} of {kind} {name} is not the name of an image: write registry/name:tag"
        return Obstacle(reason=Reason.IMAGE_PULL_FAILED, text=text)
    if why in ("CreateContainerConfigError", "CreateContainerError", "RunContainerError"):
        text = f"{kind} {name} cannot be created: {short(said) or why}{_missing(said)}"
        return Obstacle(reason=Reason.CONTAINER_CONFIG_ERROR, text=text)
    crash = _crash(container, state, kind)
    if crash is None and kind == "container" and "running" in state and not container.get("ready"):
        return Obstacle(reason=None, text=f"container {name} runs, and its probes have not found it ready")
    if crash is not None or not why or why in _CREATING:
        return crash
    return Obstacle(reason=None, text=f"{kind} {name} waits: {why}")


def _pull(said: str, why: str) -> str:
    """Registries' answers, sorted into what one can do about them; their own words hold addresses and ports."""
    low = said.lower()
    if why == "ErrImageNeverPull":
        return "imagePullPolicy is Never, and the node does not have it"
    if any(word in low for word in _FORBIDDEN):
        return "the registry refuses it: check its name and spec.template.spec.imagePullSecrets"
    if any(word in low for word in _UNKNOWN):
        return "the registry has no such image or tag: check both"
    if why == "RegistryUnavailable" or any(word in low for word in _UNREACHABLE):
        return "the registry cannot be reached from the node"
    return "check its name, its tag and spec.template.spec.imagePullSecrets"


def _missing(said: str) -> str:
    found = re.search(r'(configmap|secret) "([^"]+)" not found', said)
    return f": create it, or correct its name in the template (references to {found[1]})" if found else ""


def _crash(container: Raw, state: Raw, kind: str) -> Obstacle | None:
    """A container that ended and is not ready again."""
    ended = state.get("terminated") or (container.get("lastState") or {}).get("terminated")
    if not ended or container.get("ready"):
        return None
    code, why, name = ended.get("exitCode"), str(ended.get("reason") or "Error"), container.get("name")
    init = kind == "init container"
    if init and not code:
        return None  # it has done its work
    if why == "OOMKilled":
        text = f"{kind} {name} was ended for lack of memory (OOMKilled): raise its resources.limits.memory"
        return Obstacle(reason=Reason.OUT_OF_MEMORY, text=text)
    text = f"{kind} {name} ends again and again, last with exit code {code} ({why}): see its log (kubectl logs -p)"
    return Obstacle(reason=Reason.INIT_CONTAINER_FAILED if init else Reason.CRASH_LOOP, text=text)


def _creating(raw: Raw, spec: Raw, status: Raw) -> Obstacle | None:
    """On a node, and no container made yet: what a node does about images and volumes is told in events only."""
    containers: Sequence[Raw] = status.get("containerStatuses") or ()
    init = next(
        (c for c in status.get("initContainerStatuses") or () if "running" in (c.get("state") or {})), None
    )
    if init is not None and not init.get("started"):
        return Obstacle(reason=None, text=f"init container {init.get('name')} still runs")
    waits = {str(((c.get("state") or {}).get("waiting") or {}).get("reason") or "") for c in containers}
    if not spec.get("nodeName") or (containers and not waits & _CREATING):
        return None
    meta = raw["metadata"]
    look = f"`kubectl describe pod {meta['name']} -n {meta['namespace']}` says more"
    volumes = ", ".join(_volumes(spec))
    mounts = f"; its volumes: {volumes}" if volumes else ""
    since = meta.get("creationTimestamp")
    return Obstacle(
        reason=None, text=f"its containers are being created since {since}{mounts}; {look}", creating=True
    )


def _volumes(spec: Raw) -> Iterable[str]:
    """Those that have to be there before: configMap shop-config, persistentVolumeClaim data."""
    for volume in spec.get("volumes") or ():
        for kind, field in _SOURCES.items():
            named = (volume.get(kind) or {}).get(field) or (volume.get(kind) or {}).get("name")
            if named:
                yield f"{kind} {named}"
