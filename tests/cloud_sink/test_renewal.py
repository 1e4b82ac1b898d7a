"""The sink's own certificate, and whose gateways it takes, are renewed while it runs."""

import socket
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from tests.agent.uplink import certificates as authority
from tests.agent.uplink.certificates import Certificates, issue
from tests.cloud_sink.running import SinkProcess


@pytest.fixture
def secure(running: SinkProcess, certificates: Certificates, tmp_path: Path) -> SinkProcess:
    for name, path in (
        ("sink.pem", certificates.server),
        ("sink.key.pem", certificates.server_key),
        ("clients.pem", certificates.authority),
    ):
        (tmp_path / name).write_bytes(path.read_bytes())
    running.edit(
        "port = 0",
        f'port = 0\ncertificate = "{tmp_path}/sink.pem"\nkey = "{tmp_path}/sink.key.pem"\n'
        f'client_authorities = "{tmp_path}/clients.pem"',
    )
    running.start()
    return running


def served(url: str, trusted: Certificates, shown: Certificates | None, name: str = "localhost") -> str:
    """Return the common name of the certificate that the sink shows; raises ssl.SSLError where it takes nobody."""
    context = ssl.create_default_context(cafile=trusted.authority)
    if shown is not None:
        context.load_cert_chain(shown.client, shown.client_key)
    port = int(url.rstrip("/").rpartition(":")[2])
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=name) as secured,
    ):
        secured.sendall(b"GET /status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert secured.recv(15).startswith(b"HTTP/1.1 200")
        der = secured.getpeercert(binary_form=True)
    assert der is not None
    return str(x509.load_der_x509_certificate(der).subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"], ids=["by name", "by address"])
def test_a_renewed_certificate_is_shown_without_a_restart(
    secure: SinkProcess, certificates: Certificates, tmp_path: Path, name: str
) -> None:
    assert served(secure.url, certificates, certificates, name) == "localhost"
    certificate, key = issue(certificates, "renewed")
    (tmp_path / "sink.pem").write_bytes(certificate)
    assert served(secure.url, certificates, certificates, name) == "localhost", "the key is still the old one's"
    secure.wait_for("the renewed certificate is not used, the old one stays: .*sink.pem")
    (tmp_path / "sink.key.pem").write_bytes(key)
    assert served(secure.url, certificates, certificates, name) == "renewed"
    secure.wait_for("certificates read again from .*sink.pem")
    assert secure.stop() == 0


def test_whose_gateways_are_taken_is_renewed_too(
    secure: SinkProcess, certificates: Certificates, tmp_path: Path
) -> None:
    (tmp_path / "others").mkdir()
    others = authority.make(tmp_path / "others")
    with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
        served(secure.url, certificates, others)
    (tmp_path / "clients.pem").write_bytes(others.authority.read_bytes())
    assert served(secure.url, certificates, others) == "localhost"
    for refused in (certificates, None):
        with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
            served(secure.url, certificates, refused)
