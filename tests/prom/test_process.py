"""The demo's Prometheus scrapes what it is told, also where a client certificate is asked for."""

import datetime
import ipaddress
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from millpond.local.prometheus.process import LocalPrometheus, Scrape
from millpond.prom.errors import PromUnavailable
from millpond.prom.reader import PromReader

from prom.running import program, running
from waiting import eventually_async


def issue(folder: Path, name: str, issuer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None):  # type: ignore[no-untyped-def]
    """A certificate for 127.0.0.1 and its key, as files too; its own issuer when there is none."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .sign(issuer[1] if issuer else key, hashes.SHA256())
    )
    (folder / f"{name}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / f"{name}.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return certificate, key


class Metrics(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(f'asked{{path="{self.path}"}} 1\n'.encode())

    def log_message(self, *_: object) -> None:
        pass


def node(certs: Path) -> ThreadingHTTPServer:
    """As a kubelet: HTTPS that wants a client certificate of the CA."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Metrics)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certs / "node.crt", certs / "node.key")
    context.load_verify_locations(certs / "ca.crt")
    context.verify_mode = ssl.CERT_REQUIRED
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    return server


@pytest.mark.integration
async def test_nodes_that_come_later_are_scraped_with_a_client_certificate(tmp_path: Path) -> None:
    ca = issue(tmp_path, "ca", None)
    issue(tmp_path, "node", ca)
    issue(tmp_path, "client", ca)
    nodes = Scrape(
        job="nodes",
        scheme="https",
        path="/metrics/cadvisor",
        ca_file=tmp_path / "ca.crt",
        cert_file=tmp_path / "client.crt",
        key_file=tmp_path / "client.key",
        labels={"zone": "z1"},
    )
    prometheus = LocalPrometheus(program(), tmp_path / "prometheus", [nodes], interval_s=0.5)
    server = node(tmp_path)
    reader = PromReader(prometheus.url)
    try:
        with running(prometheus, tmp_path / "log"):
            prometheus.retarget("nodes", [f"127.0.0.1:{server.server_address[1]}"])
            found = await eventually_async(lambda: reader.query("asked"), 40, "the node is scraped")
    finally:
        await reader.close()
        server.shutdown()
        server.server_close()
    assert found
    assert {"path": "/metrics/cadvisor", "job": "nodes", "zone": "z1"}.items() <= found[0].labels.items()


def test_a_prometheus_that_never_gets_ready_is_unavailable(tmp_path: Path) -> None:
    prometheus = LocalPrometheus(tmp_path / "none", tmp_path, [])
    with pytest.raises(PromUnavailable, match=r"not ready after 0\.2 s"):
        prometheus.wait_ready(0.2)
