"""A process node: a node to Kubernetes that runs each container as an operating-system process.

What it does as a kubelet does: init containers, probes, readiness gates, restart back-off, lifecycle hooks, grace
periods, logs, resource figures. What a process cannot have, a pod is refused for by name (`support.py`). What it
deliberately leaves out: images are never pulled (`imagePullPolicy` is ignored; a container runs its `command`, or the
entrypoint that the node was given for its `image`), service links and service-account token mounts (set
`automountServiceAccountToken: false`), CPU limits, `kubectl exec`, `attach` and `port-forward`.
"""
