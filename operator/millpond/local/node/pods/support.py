"""What a process cannot have: named to the user instead of silently left out."""

from collections.abc import Iterator

from millpond.local.node.api import Json

_HINT = "a process node has no mount namespaces; pass the content by env, or a directory of the machine by workingDir"


def refusals(pod: Json) -> list[str]:
    """Why this pod cannot run on a process node; empty when it can.

    Mounts of the projected service-account volume are left out without refusal, because the admission controller adds
    them to every pod.
    """
    return [*_of_pod(pod["spec"]), *_of_mounts(pod["spec"]), *_of_containers(pod["spec"])]


def _of_pod(spec: Json) -> Iterator[str]:
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(field):
            yield f"{field}: a process node gives each pod an address of its own and nothing of the host's"
    if spec.get("runtimeClassName"):
        yield f"runtimeClassName {spec['runtimeClassName']!r}: a process node has no container runtime"


def _of_mounts(spec: Json) -> Iterator[str]:
    kinds = {v["name"]: next((k for k in v if k != "name"), "emptyDir") for v in spec.get("volumes", ())}
    for container in _containers(spec):
        for mount in container.get("volumeMounts", ()):
            if not mount["name"].startswith("kube-api-access-"):
                kind = kinds.get(mount["name"], "unknown")
                where = f"at {mount['mountPath']} of container {container['name']!r}"
                yield f"volume {mount['name']!r} ({kind}) {where}: {_HINT}"


def _of_containers(spec: Json) -> Iterator[str]:
    for container in _containers(spec):
        name = container["name"]
        if container.get("securityContext", {}).get("privileged"):
            yield f"container {name!r}: privileged is not possible on a process node"
        if container.get("restartPolicy"):
            policy = container["restartPolicy"]
            yield f"container {name!r}: a restartPolicy of its own ({policy}) is not supported, so no sidecars either"
        for port in container.get("ports", ()):
            if port.get("hostPort"):
                yield f"container {name!r}: hostPort {port['hostPort']} is not possible on a process node"
        for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
            if "grpc" in container.get(kind, {}):
                yield f"container {name!r}: {kind} grpc is not supported; use httpGet, tcpSocket or exec"


def _containers(spec: Json) -> list[Json]:
    return [*spec.get("initContainers", ()), *spec["containers"]]


def ignored(pod: Json) -> str | None:
    """What the pod asks for, runs without, and should be told about."""
    asked = [c["name"] for c in _containers(pod["spec"]) if c.get("securityContext")]
    if not asked and not pod["spec"].get("securityContext"):
        return None
    return "securityContext is not enforced: processes run as the node's own user, without isolation"
