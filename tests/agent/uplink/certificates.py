"""An authority of our own, a server certificate for this machine, a client certificate, and their renewals."""

import datetime as dt
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Certificates:
    """PEM files; `stranger` is an authority that signed none of them."""

    authority: Path
    authority_key: Path
    server: Path
    server_key: Path
    client: Path
    client_key: Path
    stranger: Path


def make(folder: Path, *addresses: str) -> Certificates:
    """Make all of them; `addresses` are further ones that the server answers at."""
    authority, authority_key = _certificate("authority", None)
    stranger, _ = _certificate("stranger", None)
    server, server_key = _certificate("localhost", (authority, authority_key), addresses)
    client, client_key = _certificate("gateway", (authority, authority_key))
    made: dict[str, x509.Certificate | ec.EllipticCurvePrivateKey] = {
        "authority": authority,
        "authority_key": authority_key,
        "server": server,
        "server_key": server_key,
        "client": client,
        "client_key": client_key,
        "stranger": stranger,
    }
    for name, item in made.items():
        (folder / f"{name}.pem").write_bytes(_pem(item))
    return Certificates(**{name: folder / f"{name}.pem" for name in made})


def issue(certificates: Certificates, name: str, *, days: float = 1, dns: str = "localhost") -> tuple[bytes, bytes]:
    """Return a certificate of the same authority and its key, in PEM; `dns` is the name that a server has."""
    issuer = x509.load_pem_x509_certificate(certificates.authority.read_bytes())
    key = serialization.load_pem_private_key(certificates.authority_key.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    made, own = _certificate(name, (issuer, key), days=days, dns=dns)
    return _pem(made), _pem(own)


def _certificate(
    name: str,
    issuer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None,
    addresses: Sequence[str] = (),
    *,
    days: float = 1,
    dns: str = "localhost",
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signer = key if issuer is None else issuer[1]
    now = dt.datetime.now(dt.UTC)
    here = ("127.0.0.1", *addresses) if dns == "localhost" else addresses
    local = [x509.DNSName(dns), *(x509.IPAddress(ipaddress.ip_address(address)) for address in here)]
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer[0].subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=400))
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if issuer is None:
        usage = x509.KeyUsage(*(field in (5, 6) for field in range(9)))  # keyCertSign, cRLSign
        builder = builder.add_extension(usage, critical=True)
    else:
        builder = builder.add_extension(x509.SubjectAlternativeName(local), critical=False)
    return builder.sign(signer, SHA256()), key


def _pem(item: x509.Certificate | ec.EllipticCurvePrivateKey) -> bytes:
    if isinstance(item, x509.Certificate):
        return item.public_bytes(serialization.Encoding.PEM)
    return item.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
