"""COSE_Sign1 (RFC 9052 §4.2) with Ed25519 and ES256 (RFC 9053), and key thumbprints (RFC 9679).

Assembled by hand over cbor2 and cryptography, because the signed bytes' prefix is the same for every record of a log
and can be kept. Holds no key: a Signer does.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Protocol

import cbor2
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from packseal.core import cbor
from packseal.core.errors import FormatError, InputError, VerifyError
from packseal.core.passport import MAX_ID_BYTES

TAG_SIGN1 = 18  # RFC 9052 §4.2
HEADER_ALG, HEADER_KID, HEADER_CWT_CLAIMS = 1, 4, 15  # RFC 9052 §3.1; RFC 9597 §2
CLAIM_ISSUER, CLAIM_SUBJECT = 1, 2  # RFC 8392 §3.1
SIGNATURE_BYTES = 64  # both algorithms: RFC 8032 §5.1.6, RFC 9053 §2.1

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # n, FIPS 186-5 / SP 800-186 §3.2.1.3

_SIGN1_START = b"\xd2\x84"  # tag 18, array of four
_EMPTY_MAP = b"\xa0"
_TO_BE_SIGNED_START = b"\x84\x6aSignature1"  # RFC 9052 §4.4: array of four, context text


class Algorithm(IntEnum):
    """COSE algorithm numbers (RFC 9053 §2.1 and §2.2)."""

    EDDSA = -8
    ES256 = -7


class Signer(Protocol):
    """Whatever holds a private key."""

    @property
    def algorithm(self) -> Algorithm:
        """The algorithm of every signature it makes."""

    @property
    def kid(self) -> bytes:
        """The SHA-256 thumbprint of its public key, 32 bytes."""

    def sign(self, data: bytes) -> bytes:
        """Return the 64-byte COSE signature (ES256: r ‖ s) over `data`."""


@dataclass(frozen=True, slots=True)
class Sign1:
    """A parsed, not yet verified COSE_Sign1."""

    protected: bytes
    unprotected: Mapping[Any, Any]
    payload: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A verification key with its algorithm and thumbprint."""

    key: Ed25519PublicKey | ec.EllipticCurvePublicKey
    algorithm: Algorithm
    kid: bytes

    def check(self, signature: bytes, data: bytes) -> None:
        """Raise VerifyError unless `signature` is this key's over `data`."""
        if len(signature) != SIGNATURE_BYTES:
            raise VerifyError(f"a signature of {len(signature)} bytes where {SIGNATURE_BYTES} are needed")
        try:
            if isinstance(self.key, Ed25519PublicKey):
                self.key.verify(signature, data)
            else:
                r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
                self.key.verify(encode_dss_signature(r, s), data, ec.ECDSA(SHA256()))
        except InvalidSignature as error:
            raise VerifyError("the signature does not fit the bytes and the key") from error


def public_key(key: object) -> PublicKey:
    """Wrap a `cryptography` public key.

    Raises:
        InputError: neither Ed25519 nor on curve P-256.
    """
    if isinstance(key, Ed25519PublicKey):
        return PublicKey(key, Algorithm.EDDSA, _thumbprint_ed25519(key))
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return PublicKey(key, Algorithm.ES256, _thumbprint_p256(key))
    raise InputError("the key must be Ed25519 or ECDSA on curve P-256")


def public_key_from_pem(pem: bytes) -> PublicKey:
    """Read a PEM "PUBLIC KEY"; raises InputError when it is none or of another kind."""
    try:
        return public_key(serialization.load_pem_public_key(pem))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InputError("not a PEM public key (a file that starts with -----BEGIN PUBLIC KEY-----)") from error


def _thumbprint_ed25519(key: Ed25519PublicKey) -> bytes:
    # RFC 9679 §4.1: kty OKP (1), crv Ed25519 (6), x
    return hashlib.sha256(cbor.encode({1: 1, -1: 6, -2: key.public_bytes_raw()})).digest()


def _thumbprint_p256(key: ec.EllipticCurvePublicKey) -> bytes:
    # RFC 9679 §4.2: kty EC2 (2), crv P-256 (1), x, y
    numbers = key.public_numbers()
    x, y = numbers.x.to_bytes(32, "big"), numbers.y.to_bytes(32, "big")
    return hashlib.sha256(cbor.encode({1: 2, -1: 1, -2: x, -3: y})).digest()


class Envelope:
    """Signs payloads under one protected header, whose bytes are made once.

    Args:
        signer: the key.
        issuer: the URI of who signs (CWT claim 1).
        subject: the URI of what it is about (CWT claim 2).

    Raises:
        InputError: issuer or subject is longer than MAX_ID_BYTES.
    """

    def __init__(self, signer: Signer, issuer: str, subject: str) -> None:
        for name in (issuer, subject):
            if len(name.encode()) > MAX_ID_BYTES:
                raise InputError(f"id {name[:40]}… is longer than {MAX_ID_BYTES} bytes: take a shorter one")
        claims = {CLAIM_ISSUER: issuer, CLAIM_SUBJECT: subject}
        protected = cbor.byte_string(
            cbor.encode({HEADER_ALG: int(signer.algorithm), HEADER_KID: signer.kid, HEADER_CWT_CLAIMS: claims})
        )
        self._sign = signer.sign if signer.algorithm is Algorithm.EDDSA else lambda data: low_s(signer.sign(data))
        self._to_be_signed = _TO_BE_SIGNED_START + protected + b"\x40"  # empty external_aad
        self._start = _SIGN1_START + protected + _EMPTY_MAP

    def seal(self, payload: bytes) -> bytes:
        """Return the COSE_Sign1 bytes over `payload`."""
        wrapped = cbor.byte_string(payload)
        return self._start + wrapped + cbor.byte_string(self._sign(self._to_be_signed + wrapped))


def low_s(signature: bytes) -> bytes:
    """Return the one of the two valid forms (r, s) and (r, n - s) of an ECDSA signature whose s is the smaller."""
    s = int.from_bytes(signature[32:], "big")
    return signature[:32] + min(s, P256_ORDER - s).to_bytes(32, "big")


def check_signature_form(algorithm: int, signature: bytes) -> None:
    """Raise FormatError unless `signature` has 64 bytes and, for ES256, the smaller s.

    Anyone can turn (r, s) into (r, n - s), which verifies as well: were both taken, a stranger could make a second
    record of the same content with another hash, and so the look of a fork.
    """
    if len(signature) != SIGNATURE_BYTES:
        raise FormatError(f"a signature of {len(signature)} bytes where {SIGNATURE_BYTES} are needed")
    if algorithm == Algorithm.ES256 and int.from_bytes(signature[32:], "big") > P256_ORDER // 2:
        raise FormatError("of an ES256 signature's two forms only the one with the smaller s is taken")


def read_claims(value: object) -> tuple[str, str]:
    """Return issuer and subject of a CWT claims map that holds nothing else; raises FormatError."""
    claims = cbor.as_map(value, "CWT claims", (CLAIM_ISSUER, CLAIM_SUBJECT))
    issuer, subject = (cbor.as_text(claims[k], "issuer or subject") for k in (CLAIM_ISSUER, CLAIM_SUBJECT))
    if max(len(issuer.encode()), len(subject.encode())) > MAX_ID_BYTES:
        raise FormatError(f"issuer or subject is longer than {MAX_ID_BYTES} bytes")
    return issuer, subject


def parse(data: bytes, *, tagged: bool = True) -> Sign1:
    """Take a COSE_Sign1 apart; any COSE one, not only ours. Does not verify.

    Args:
        data: the bytes.
        tagged: whether it must carry CBOR tag 18, as all of ours do, or must carry none.

    Raises:
        FormatError: not a COSE_Sign1 with an attached payload.
    """
    try:
        item = cbor2.loads(data, max_depth=cbor.MAX_DEPTH)
    except (cbor2.CBORError, ValueError, TypeError) as error:
        raise FormatError(f"not CBOR: {error}") from error
    if tagged:
        if not isinstance(item, cbor2.CBORTag) or item.tag != TAG_SIGN1:
            raise FormatError("not a COSE_Sign1: CBOR tag 18 is missing")
        item = item.value
    parts = cbor.as_array(item, "COSE_Sign1")
    if len(parts) != 4 or not isinstance(parts[1], Mapping):  # noqa: PLR2004 - RFC 9052 §4.2
        raise FormatError("a COSE_Sign1 has four parts, the second a map")
    protected, payload, signature = (cbor.as_bytes(parts[i], f"COSE_Sign1 part {i}") for i in (0, 2, 3))
    return Sign1(protected, parts[1], payload, signature)


def split(data: bytes, at: int = 0) -> tuple[Sign1, int] | None:
    """Return the COSE_Sign1 that begins at `at`, and where it ends; None unless it is in the form that we write."""
    if data[at : at + 2] != _SIGN1_START:
        return None
    protected = cbor.read_byte_string(data, at + 2)
    if protected is None or data[protected[1] : protected[1] + 1] != _EMPTY_MAP:
        return None
    payload = cbor.read_byte_string(data, protected[1] + 1)
    signature = None if payload is None else cbor.read_byte_string(data, payload[1])
    if payload is None or signature is None:
        return None
    return Sign1(protected[0], {}, payload[0], signature[0]), signature[1]


def to_be_signed(message: Sign1) -> bytes:
    """Return what the signature of one of our own messages is over: no external data, a header that is not empty."""
    return b"".join(
        (_TO_BE_SIGNED_START, cbor.byte_string(message.protected), b"\x40", cbor.byte_string(message.payload))
    )


def verify(message: Sign1, key: PublicKey, external_aad: bytes = b"") -> None:
    """Check the signature and that the header names this key's algorithm.

    The algorithm may stand in the unprotected header (RFC 9052 §3.1); our own formats demand that one to be empty.

    Raises:
        VerifyError: wrong algorithm or signature.
    """
    header = cbor.decode(message.protected, "protected header") if message.protected else {}
    if not isinstance(header, Mapping):
        raise FormatError("the protected header must be a map")
    named = header.get(HEADER_ALG, message.unprotected.get(HEADER_ALG))
    if named != key.algorithm:
        raise VerifyError(f"the header names algorithm {named}, the key is for {int(key.algorithm)}")
    # RFC 9052 §4.4: an empty protected header is signed as the empty byte string
    parts = (message.protected if header else b"", external_aad, message.payload)
    key.check(message.signature, _TO_BE_SIGNED_START + b"".join(map(cbor.byte_string, parts)))
