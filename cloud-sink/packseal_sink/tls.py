"""TLS contexts of the sink's two roads, with errors that name the file."""

import ssl
from collections.abc import Callable
from pathlib import Path

from packseal.core.errors import InputError


def server_context(
    certificate: Path, key: Path, client_authorities: Path | None, tell: Callable[[str], None]
) -> ssl.SSLContext:
    """Return a context that serves HTTPS; with `client_authorities` it demands a client certificate of theirs.

    The files may be replaced: each handshake uses the newest whole set, and the one before it while they do not fit
    together. `tell` is given one line per change.

    Raises:
        InputError: a file cannot be used to begin with.
    """
    files = [path for path in (certificate, key, client_authorities) if path is not None]
    marks = [_mark(path) for path in files]
    first = newest = _load(certificate, key, client_authorities)

    def choose(connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _first: ssl.SSLContext) -> None:
        nonlocal newest, marks
        seen = [_mark(path) for path in files]
        if seen != marks:
            marks = seen
            try:
                newest = _load(certificate, key, client_authorities)
                tell(f"certificates read again from {', '.join(map(str, files))}")
            except InputError as error:
                tell(f"the renewed certificate is not used, the old one stays: {error}")
        connection.context = newest

    # OpenSSL asks at every handshake, whether the client names a server or not (test_renewal.py: by address).
    first.sni_callback = choose
    return first


def _mark(path: Path) -> tuple[int, int, int] | None:
    """Return what changes whenever the file does: the inode by a rename, the change time by a write or chmod."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_ctime_ns, found.st_size


def _load(certificate: Path, key: Path, client_authorities: Path | None) -> ssl.SSLContext:
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
