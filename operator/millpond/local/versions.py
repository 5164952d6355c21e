"""What this Millpond runs its embedded clusters with, wherever the programs come from."""

KUBERNETES = "v1.37.2"
ETCD = "v3.7.0"
PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
SAME_VERSION = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")


def minor() -> str:
    """Kubernetes' version without its patch level: 1.37"""
    return KUBERNETES.removeprefix("v").rpartition(".")[0]
