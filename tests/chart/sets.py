"""Values that people give the chart: every switch on and off."""

from typing import Any

Values = dict[str, Any]

_PLACED: Values = {
    "priorityClassName": "system-cluster-critical",
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"key": "millpond.dev/router", "operator": "Exists", "effect": "NoSchedule"}],
    "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
        {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "other"}}}
    ]}},
    "podAnnotations": {"example.com/reviewed": "yes"},
    "podLabels": {"example.com/team": "platform"},
}  # fmt: skip
_MONITORING: Values = {
    "labels": {"release": "prometheus"},
    **{
        switch: {"enabled": True}
        for switch in ("serviceMonitor", "podMonitor", "prometheusRule", "dashboard")
    },
}
_SECRETS: Values = {"secrets": ["shop-tls", "a.very.long.name-of-a-secret.for-the-host.shop.example.com"]}
_MADE: Values = {"certificates": [
    {"secretName": "bank-tls", "dnsNames": ["bank.example", "*.bank.example"],
     "issuerRef": {"name": "letsencrypt", "kind": "ClusterIssuer"}}
]}  # fmt: skip
_BALANCER: Values = {
    "type": "LoadBalancer",
    "port": 8080,
    "httpsPort": 8443,
    "annotations": {"example.com/internal": "true"},
    "externalTrafficPolicy": "Local",
    "loadBalancerClass": "example.com/inner",
    "loadBalancerSourceRanges": ["192.0.2.0/24"],
}
_FROM = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]

EVERYTHING: Values = {
    "image": {
        "repository": "registry.example:5000/tools/millpond",
        "tag": "0.1.0-rc.1",
        "pullPolicy": "Always",
    },
    "imagePullSecrets": [{"name": "registry"}],
    "hosts": {"default": ["*.apps.example", "shop.example"]},
    "operator": {
        "replicas": 3,
        "prometheusUrl": "http://prometheus.monitoring:9090",
        "logFormat": "json",
        "verbose": True,
        "extraArgs": ["--verbose"],
        "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "2", "memory": "2Gi"}},
        **_PLACED,
    },
    "router": {
        "replicas": 5,
        "concurrency": 4,
        "trustedHops": 1,
        "limits": {"connections": 100, "heapMiB": 700, "idleSeconds": 70, "headersSeconds": 5},
        "acceptSeconds": 20,
        "drainSeconds": 3600,
        "extraArgs": ["--stats=0.0.0.0:9001"],
        "service": _BALANCER,
        "tls": _SECRETS | _MADE,
        "resources": {"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}},
        **_PLACED,
    },
    "networkPolicy": {"enabled": True, "monitoringFrom": _FROM},
    "monitoring": _MONITORING,
    "uninstallNotice": {"enabled": True},
}
SWITCHED_OFF = {"networkPolicy": {"enabled": False}, "uninstallNotice": {"enabled": False}}
NAMESPACES = ("chart-shop", "chart-bank")

SETS: dict[str, Values] = {
    "the defaults": {},
    "everything": EVERYTHING,
    "everything, in chosen namespaces": {**EVERYTHING, "watchNamespaces": list(NAMESPACES)},
    "nothing that can be switched off": SWITCHED_OFF,
    "no host without a grant": {"hosts": {"default": []}},
    "one chosen namespace": {"watchNamespaces": [NAMESPACES[0]]},
    "node ports": {"router": {"service": {"type": "NodePort", "nodePort": 30080}}},
    "node ports with TLS": {
        "router": {
            "service": {"type": "NodePort", "nodePort": 30080, "httpsNodePort": 30443},
            "tls": _SECRETS,
        }
    },
    "a node port that Kubernetes chooses": {"router": {"service": {"type": "NodePort"}}},
    "behind an Ingress": {"router": {"service": {"type": "ClusterIP"}, "trustedHops": 1, "replicas": 1}},
    "certificates from Secrets": {"router": {"tls": _SECRETS}},
    "certificates from cert-manager": {"router": {"tls": _MADE}},
    "monitoring": {"monitoring": _MONITORING},
    "statistics for others, without monitoring": {"networkPolicy": {"monitoringFrom": _FROM}},
    **{
        f"only {switch}": {"monitoring": {switch: {"enabled": True}}}
        for switch in ("serviceMonitor", "podMonitor", "prometheusRule", "dashboard")
    },
}
