"""The pod template of a server: the one that was applied, and what Millpond adds to it."""

import json
import math
from typing import Any

from millpond.api.elasticapp import ElasticAppSpec
from millpond.api.names import GATE, LABEL_APP, LABEL_EDITION
from millpond.kube.resolve import Candidate

Raw = dict[str, Any]
DEFAULT_GRACE_S = 30


def server_template(app: Candidate, spec: ElasticAppSpec, edition: Raw) -> Raw:
    """The pod template of an edition with what Millpond adds: labels, gate, pool selector, enough grace."""
    template: Raw = json.loads(json.dumps(edition["spec"]["template"]))
    labels = {LABEL_APP: app.name, LABEL_EDITION: edition["spec"]["edition"]}
    meta = template.setdefault("metadata", {}) or {}
    template["metadata"] = {**meta, "labels": {**(meta.get("labels") or {}), **labels}}
    pod = template.setdefault("spec", {})
    gates = [g for g in pod.get("readinessGates") or () if g.get("conditionType") != GATE]
    pod["readinessGates"] = [*gates, {"conditionType": GATE}]
    if app.pool is not None:
        pod["nodeSelector"] = {**(pod.get("nodeSelector") or {}), **app.pool.node_selector}
    grace = pod.get("terminationGracePeriodSeconds", DEFAULT_GRACE_S)
    if isinstance(grace, int):  # anything else is for the API server to refuse
        pod["terminationGracePeriodSeconds"] = max(grace, math.ceil(spec.drain.timeout_s))
    return template
