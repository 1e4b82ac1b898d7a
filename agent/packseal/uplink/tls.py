"""TLS settings that every uplink over a network shares."""

import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path

from packseal.core.errors import InputError


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Whom to trust and who we are, as PEM files.

    `authorities` None trusts the machine's own list; `certificate` and `key` are for a server that asks who calls.
    """

    authorities: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


def context(files: TlsFiles) -> ssl.SSLContext:
    """Return a context that verifies the server's certificate and name; raises InputError naming a bad file."""
    try:
        made = ssl.create_default_context(cafile=files.authorities)
    except (OSError, ssl.SSLError) as error:
        raise InputError(f"{files.authorities} does not hold certificates of authorities in PEM: {error}") from error
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    if files.certificate is not None:
        try:
            made.load_cert_chain(files.certificate, files.key)
        except (OSError, ssl.SSLError) as error:
            raise InputError(f"{files.certificate} and {files.key} are no certificate and its key: {error}") from error
    return made


def is_loopback(host: str) -> bool:
    """Return whether `host` names this machine itself, so that plain text on the way to it is seen by nobody else."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
