"""The names that Millpond gives to things in the cluster: kinds, labels, annotations."""

import hashlib
import re

GROUP = "millpond.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

ELASTICAPP = "ElasticApp"
EDITION = "Edition"
SLAPOLICY = "SLAPolicy"
DYNAMICPOOL = "DynamicPool"

PLURALS = {
    ELASTICAPP: "elasticapps",
    EDITION: "editions",
    SLAPOLICY: "slapolicies",
    DYNAMICPOOL: "dynamicpools",
}

LABEL_APP = f"{GROUP}/app"  # on Editions, ReplicaSets and pods: the name of the ElasticApp
LABEL_EDITION = f"{GROUP}/edition"  # on the same: the name of the edition
LABEL_POOL = f"{GROUP}/pool"  # on nodes, by convention: the pool's nodeSelector decides
LABEL_LEADER = f"{GROUP}/leader"  # on the pod of the operator that leads
ROUTERS_ANNOTATION = f"{GROUP}/routers"  # on the Lease: which routers may be serving
GATE = f"{GROUP}/serving"  # readiness gate: the pod is ready and every router routes to it
RETIRE_ANNOTATION = f"{GROUP}/retire"  # on a pod: it was named as a victim
APPROVAL_ANNOTATION = f"{GROUP}/approval"  # on an Edition, by an approver: {"by": "ann", "reason": "…"}
SUBMITTER_ANNOTATION = (
    f"{GROUP}/submitter"  # on apps by the API server, on Editions by the operator: a user's name
)
EMERGENCY_ANNOTATION = (
    f"{GROUP}/emergency-by"  # on an app, by the API server: the user who declared an emergency
)
HOSTS_ANNOTATION = f"{GROUP}/hosts"  # on a Namespace, by an admin: the hosts that its apps may claim

NAMESPACE = "millpond-system"
SERVICE_ACCOUNT = "millpond-operator"
LEASE = "millpond-operator"

MAX_EDITION_LENGTH = 63  # it is the value of a label
_PLAIN = re.compile(r"[a-z0-9]([-a-z0-9]{0,28}[a-z0-9])?")
_SHOWN = 12  # characters of another name, as many as of a short commit


def app_key(namespace: str, app: str) -> str:
    return f"{namespace}/{app}"


def edition_object(app: str, edition: str) -> str:
    """Name of the Edition, and of its ReplicaSet.

    Pods are called after it, and a pod's host name has no dots or capitals and is soon cut: of an edition with such a
    name, or with a long one, its beginning and a hash.
    """
    if _PLAIN.fullmatch(edition):
        return f"{app}-{edition}"
    shown = re.sub(r"[^a-z0-9]", "-", edition.lower())[:_SHOWN].rstrip("-")
    return f"{app}-{shown}-{hashlib.sha256(edition.encode()).hexdigest()[:8]}"
