"""Certificate: one for the sink of a scenario, which is its own authority, for the addresses that it is reached at."""

import datetime as dt
import ipaddress
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID

BEFORE = dt.timedelta(days=36_500)
"""Valid for so long in the past: scenarios set the gateway's clock back."""
AFTER = dt.timedelta(days=3_650)


def make(addresses: Sequence[str]) -> tuple[bytes, bytes]:
    """Return certificate and key, in PEM, of a server with these IP addresses."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sink of the bench")])
    public, now = key.public_key(), dt.datetime.now(dt.UTC)
    places = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(each)) for each in addresses])
    usage = x509.KeyUsage(*(field in (0, 5) for field in range(9)))  # digitalSignature, keyCertSign (RFC 5280 §4.2.1.3)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(max(now - BEFORE, dt.datetime(1970, 1, 2, tzinfo=dt.UTC)))
        .not_valid_after(now + AFTER)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
        .add_extension(places, critical=False)
        .sign(key, SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    return made.public_bytes(pem), key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
