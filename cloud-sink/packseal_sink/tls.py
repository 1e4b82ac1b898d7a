"""TLS contexts of the sink's two roads, with errors that name the file."""

import ssl
from pathlib import Path

from packseal.core.errors import InputError


def server_context(certificate: Path, key: Path, client_authorities: Path | None) -> ssl.SSLContext:
    """Return a context that serves HTTPS; with `client_authorities` it demands a client certificate of theirs.

    Raises:
        InputError: a file cannot be used.
    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    _load_chain(made, certificate, key)
    if client_authorities is not None:
        _load_authorities(made, client_authorities)
        made.verify_mode = ssl.CERT_REQUIRED
    return made


def client_context(authorities: Path | None, certificate: Path | None, key: Path | None) -> ssl.SSLContext:
    """Return a context that verifies the broker's certificate and name; raises InputError."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    if authorities is None:
        made.load_default_certs()
    else:
        _load_authorities(made, authorities)
    if certificate is not None:
        _load_chain(made, certificate, key)
    return made


def _load_authorities(context: ssl.SSLContext, authorities: Path) -> None:
    try:
        context.load_verify_locations(cafile=authorities)
    except OSError as error:  # ssl.SSLError among them
        raise InputError(f"{authorities} does not hold certificates of authorities in PEM: {error}") from error


def _load_chain(context: ssl.SSLContext, certificate: Path, key: Path | None) -> None:
    try:
        context.load_cert_chain(certificate, key)
    except OSError as error:
        raise InputError(f"{certificate} and {key} are no certificate and its key: {error}") from error
