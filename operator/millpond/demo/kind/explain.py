"""What the cluster says when something does not work: pods, events, and the ends of logs."""

from collections.abc import Iterator, Sequence

from millpond.api.names import NAMESPACE
from millpond.demo.stage.stack import Admin
from millpond.local.errors import KubectlError

_EVENTS, _LOG = 40, 40  # lines


def explain(admin: Admin, namespaces: Sequence[str]) -> str:
    """`namespaces`: those of the apps."""
    return "\n".join(_parts(admin, namespaces))


def _parts(admin: Admin, namespaces: Sequence[str]) -> Iterator[str]:
    yield _asked(admin, "get", "pods", "-A", "-o", "wide")
    for namespace in (NAMESPACE, *namespaces):
        events = ("get", "events", "-n", namespace, "--sort-by=.metadata.creationTimestamp")
        yield _asked(admin, *events, last=_EVENTS)
    for namespace in namespaces:
        yield _asked(admin, "get", "elasticapps,editions,replicasets", "-n", namespace, "-o", "wide")
    for pod in _asked(admin, "get", "pods", "-n", NAMESPACE, "-o", "name").splitlines()[1:]:
        yield _asked(admin, "logs", pod, "-n", NAMESPACE, "--all-containers", f"--tail={_LOG}")


def _asked(admin: Admin, *args: str, last: int | None = None) -> str:
    try:
        lines = admin.kubectl(*args).splitlines()
    except KubectlError as error:
        lines = str(error).splitlines()
    return "\n".join([f"$ kubectl {' '.join(args)}", *(lines[-last:] if last else lines)])
