"""Servers write down what they worked on into a folder of this machine, and the example's pods need not say so.

The API server adds to every pod of the example's namespace the folder and the setting LEDGER_DIR.
"""

import json
import time

from millpond.demo.kind.cluster import BOOKS
from millpond.demo.stage.stack import Admin, StackError
from millpond.local.errors import KubectlError

_NAME = "millpond-demo-books"
_API = "admissionregistration.k8s.io/v1"
_ACTIVE_S = 30.0
_MUTATION = """
Object{{spec: Object.spec{{
  volumes: [Object.spec.volumes{{
    name: "books", hostPath: Object.spec.volumes.hostPath{{path: "{folder}", type: "Directory"}}}}],
  containers: object.spec.containers.map(c, Object.spec.containers{{
    name: c.name,
    env: [Object.spec.containers.env{{name: "LEDGER_DIR", value: "/books"}}],
    volumeMounts: [Object.spec.containers.volumeMounts{{name: "books", mountPath: "/books"}}]}})}}}}
"""


def keep(admin: Admin, namespace: str, run: str) -> None:
    """From now on; `run` is the name of the folder below BOOKS. Raises StackError when it does not begin."""
    admin.kubectl("apply", "-f", "-", stdin=json.dumps(_policy(namespace, run)))
    pod = {"metadata": {"name": "probe"}, "spec": {"containers": [{"name": "probe", "image": "probe"}]}}
    probe = json.dumps({"apiVersion": "v1", "kind": "Pod", **pod})
    deadline = time.monotonic() + _ACTIVE_S
    while time.monotonic() < deadline:
        try:
            tried = ("create", "-n", namespace, "--dry-run=server", "-o", "json", "-f", "-")
            if "LEDGER_DIR" in admin.kubectl(*tried, stdin=probe):
                return
        except KubectlError as error:
            if "serviceaccount" not in str(error):  # that of a new namespace comes a moment later
                raise
        time.sleep(0.2)
    raise StackError(f"MutatingAdmissionPolicy {_NAME} changes nothing after {_ACTIVE_S:.0f} s")


def end(admin: Admin) -> None:
    for kind in ("mutatingadmissionpolicybinding", "mutatingadmissionpolicy"):
        admin.kubectl("delete", kind, _NAME, "--ignore-not-found")


def _policy(namespace: str, run: str) -> dict[str, object]:
    pods = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    expression = _MUTATION.format(folder=f"{BOOKS}/{run}")
    spec = {
        "matchConstraints": {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            "resourceRules": [pods],
        },
        "failurePolicy": "Fail",
        "reinvocationPolicy": "Never",
        "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}],
    }
    policy = {"kind": "MutatingAdmissionPolicy", "spec": spec}
    binding = {"kind": "MutatingAdmissionPolicyBinding", "spec": {"policyName": _NAME}}
    items = [{"apiVersion": _API, "metadata": {"name": _NAME}, **each} for each in (policy, binding)]
    return {"apiVersion": "v1", "kind": "List", "items": items}
