"""A private key in a PEM file that only its owner may read (mode 0600)."""

import os
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from packseal.core.cose import Algorithm, PublicKey, public_key
from packseal.core.errors import InputError, StorageError

PrivateKey = Ed25519PrivateKey | ec.EllipticCurvePrivateKey


class FileSigner:
    """Signs with a key held in memory; Ed25519 or ECDSA P-256."""

    def __init__(self, key: PrivateKey) -> None:
        self._key = key
        self.public: PublicKey = public_key(key.public_key())
        self.algorithm: Algorithm = self.public.algorithm
        self.kid: bytes = self.public.kid
        self.sign = key.sign if isinstance(key, Ed25519PrivateKey) else self._sign_p256

    def _sign_p256(self, data: bytes) -> bytes:
        if not isinstance(self._key, ec.EllipticCurvePrivateKey):  # pragma: no cover - set up in the constructor
            raise TypeError("not a P-256 key")
        r, s = decode_dss_signature(self._key.sign(data, ec.ECDSA(SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def create(path: Path, algorithm: Algorithm = Algorithm.EDDSA) -> FileSigner:
    """Make a new key at `path`, readable by its owner only, and its public half beside it with suffix `.pub`.

    Raises:
        StorageError: the file exists or cannot be written.
    """
    key: PrivateKey
    key = Ed25519PrivateKey.generate() if algorithm is Algorithm.EDDSA else ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    try:
        _write_new(path, pem, 0o600)
        try:
            _write_new(path.with_suffix(".pub"), public, 0o644)
        except OSError:
            path.unlink(missing_ok=True)  # nobody has seen it, and the next try would find it in its way
            raise
    except OSError as error:
        raise StorageError(f"cannot write key {path}: {error.strerror}") from error
    return FileSigner(key)


def load(path: Path) -> FileSigner:
    """Read the key at `path`.

    Raises:
        InputError: missing, not a private key of ours, or readable by others.
    """
    try:
        mode = path.stat().st_mode
        pem = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read key {path}: {error.strerror}") from error
    if mode & 0o077:
        raise InputError(f"key {path} can be read by others (mode {mode & 0o777:o}): run chmod 600 {path}")
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InputError(f"{path} is not an unencrypted PEM private key") from error
    if not isinstance(key, Ed25519PrivateKey | ec.EllipticCurvePrivateKey):
        raise InputError(f"{path}: the key must be Ed25519 or ECDSA on curve P-256")
    return FileSigner(key)


def _write_new(path: Path, data: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        path.unlink(missing_ok=True)
        raise
