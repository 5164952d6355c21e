"""The control plane of one cluster: its certificates, and the command lines of its four programs."""

import json
from dataclasses import dataclass
from pathlib import Path

from millpond.local import kubeconfig
from millpond.local.pki import Authority, Pair, new_key, pair
from millpond.local.record import Ports

_SERVICE_RANGE = "10.96.0.0/16"
_SERVICE_NAMES = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
# EndpointSlices may not hold loopback addresses: with pods on 127.x these controllers would retry for ever.
_UNUSED_CONTROLLERS = ("endpoints", "endpointslice", "endpointslice-mirroring")


@dataclass(frozen=True, slots=True)
class ControlPlane:
    name: str
    folder: Path
    ports: Ports

    @property
    def server(self) -> str:
        return f"https://127.0.0.1:{self.ports['apiserver']}"

    @property
    def etcd_url(self) -> str:
        return f"https://127.0.0.1:{self.ports['etcd']}"

    @property
    def pki(self) -> Path:
        return self.folder / "pki"

    @property
    def authority(self) -> Authority:
        return Authority.at(self.pki, "ca")

    @property
    def ca(self) -> Path:
        return self.authority.files.certificate

    def audit_log(self) -> Path:
        return self.folder / "audit.log"

    def kubeconfig(self, who: str) -> Path:
        return self.folder / f"{who}.kubeconfig"

    def write_identities(self) -> None:
        """Certificates and kubeconfigs of the control plane; authorities and the token key are kept."""
        etcd = Authority.at(self.pki, "etcd-ca")  # of its own: a node's certificate must not open etcd
        etcd.issue("etcd", "etcd", addresses=["127.0.0.1"])
        etcd.issue("etcd-client", "kube-apiserver")
        addresses = ["127.0.0.1", "10.96.0.1"]
        self.authority.issue("apiserver", "kube-apiserver", addresses=addresses, names=_SERVICE_NAMES)
        self.authority.issue("apiserver-kubelet", "kube-apiserver-kubelet", organisation="system:masters")
        if not (self.pki / "sa.key").exists():
            new_key(self.pki / "sa.key", self.pki / "sa.pub")
        self.write_kubeconfig("admin", self.authority.issue("admin", "admin", organisation="system:masters"))
        for program in ("kube-controller-manager", "kube-scheduler"):
            self.write_kubeconfig(program, self.authority.issue(program, f"system:{program}"))
        (self.folder / "audit-policy.yaml").write_text(json.dumps(_AUDIT_POLICY))

    def write_kubeconfig(self, who: str, user: Pair) -> Path:
        path = self.kubeconfig(who)
        return kubeconfig.with_certificate(path, cluster=self.name, server=self.server, ca=self.ca, user=user)

    def etcd(self, *, durable: bool) -> list[str]:
        own = pair(self.pki, "etcd")
        peer = f"https://127.0.0.1:{self.ports['peer']}"
        argv = [f"--data-dir={self.folder / 'etcd'}", "--log-level=warn"]
        argv += [f"--listen-client-urls={self.etcd_url}", f"--advertise-client-urls={self.etcd_url}"]
        argv += [f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}"]
        argv += [f"--initial-cluster=default={peer}"]
        for prefix in ("", "peer-"):
            argv += [f"--{prefix}cert-file={own.certificate}", f"--{prefix}key-file={own.key}"]
            argv += [f"--{prefix}trusted-ca-file={self.pki / 'etcd-ca.crt'}", f"--{prefix}client-cert-auth"]
        return argv if durable else [*argv, "--unsafe-no-fsync"]

    def apiserver(self, *, audit: bool) -> list[str]:
        argv = [f"--secure-port={self.ports['apiserver']}", "--bind-address=127.0.0.1"]
        argv += ["--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none"]
        argv += [
            f"--service-cluster-ip-range={_SERVICE_RANGE}",
            "--allow-privileged=true",
            "--profiling=false",
        ]
        argv += ["--authorization-mode=Node,RBAC", "--anonymous-auth=false", f"--client-ca-file={self.ca}"]
        argv += ["--enable-admission-plugins=NodeRestriction"]
        argv += [*self._to_etcd(), *self._to_nodes(), *self._service_accounts()]
        own = pair(self.pki, "apiserver")
        argv += [f"--tls-cert-file={own.certificate}", f"--tls-private-key-file={own.key}"]
        return [*argv, *self._audit()] if audit else argv

    def controller_manager(self, *, node_grace_s: int) -> list[str]:
        """A node silent for `node_grace_s` is lost; how long its pods stay is up to their tolerations."""
        argv = [*self._client("kube-controller-manager"), "--use-service-account-credentials=true"]
        argv += [f"--service-account-private-key-file={self.pki / 'sa.key'}", f"--root-ca-file={self.ca}"]
        argv += [f"--node-monitor-grace-period={node_grace_s}s", "--node-monitor-period=1s"]
        argv += ["--node-eviction-rate=10", "--kube-api-qps=200", "--kube-api-burst=300"]
        unused = ",".join(f"-{name}-controller" for name in _UNUSED_CONTROLLERS)
        return [*argv, f"--controllers=*,{unused}"]

    def scheduler(self) -> list[str]:
        return self._client("kube-scheduler")

    def _client(self, program: str) -> list[str]:
        return [f"--kubeconfig={self.kubeconfig(program)}", "--leader-elect=false", "--secure-port=0"]

    def _to_etcd(self) -> list[str]:
        own = pair(self.pki, "etcd-client")
        files = [f"--etcd-certfile={own.certificate}", f"--etcd-keyfile={own.key}"]
        return [f"--etcd-servers={self.etcd_url}", f"--etcd-cafile={self.pki / 'etcd-ca.crt'}", *files]

    def _to_nodes(self) -> list[str]:
        own = pair(self.pki, "apiserver-kubelet")
        argv = [f"--kubelet-client-certificate={own.certificate}", f"--kubelet-client-key={own.key}"]
        return [
            *argv,
            f"--kubelet-certificate-authority={self.ca}",
            "--kubelet-preferred-address-types=InternalIP",
        ]

    def _service_accounts(self) -> list[str]:
        argv = ["--service-account-issuer=https://kubernetes.default.svc"]
        argv += [f"--service-account-key-file={self.pki / 'sa.pub'}"]
        return [*argv, f"--service-account-signing-key-file={self.pki / 'sa.key'}"]

    def _audit(self) -> list[str]:
        return [
            f"--audit-policy-file={self.folder / 'audit-policy.yaml'}",
            f"--audit-log-path={self.audit_log()}",
        ]


_AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}
