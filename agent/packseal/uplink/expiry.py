"""Expiry: until when a certificate is good, read from its DER, which OpenSSL has already found to be well-formed.

A library that reads whole certificates costs the running agent 2 MB of memory; this is one field.
"""

import ssl
from datetime import UTC, datetime

from packseal.core.errors import FormatError

END = "-----END CERTIFICATE-----"
SEQUENCE, VERSION, UTC_TIME, GENERALIZED_TIME = 0x30, 0xA0, 0x17, 0x18  # X.690 §8.1.2; RFC 5280 §4.1
LONG_FORM = 0x80  # X.690 §8.1.3.5
FIRST_OF_2000S = 50
"""RFC 5280 §4.1.2.5.1: a year of two digits from 50 on is of the 1900s."""


def expiry(pem: str) -> float:
    """Return until when the first certificate in `pem` is good, in UTC seconds; raises FormatError."""
    try:
        begin, end = pem.index("-----BEGIN CERTIFICATE-----"), pem.index(END)
        der = ssl.PEM_cert_to_DER_cert(pem[begin : end + len(END)])
        return _not_after(der)
    except (ValueError, IndexError) as error:
        raise FormatError(f"no certificate in PEM: {error}") from error


def _not_after(der: bytes) -> float:
    _, certificate, _ = _element(der, 0)
    _, field, _ = _element(der, certificate)  # into tbsCertificate
    tag, _, following = _element(der, field)
    if tag == VERSION:
        field = following
    for _ in range(3):  # serialNumber, signature, issuer
        _, _, field = _element(der, field)
    tag, not_before, _ = _element(der, field)
    if tag != SEQUENCE:
        raise ValueError("its validity is not where it should be")
    _, _, not_after = _element(der, not_before)
    tag, start, end = _element(der, not_after)
    text = der[start:end].decode("ascii")
    if tag == UTC_TIME:
        text = ("19" if int(text[:2]) >= FIRST_OF_2000S else "20") + text
    elif tag != GENERALIZED_TIME:
        raise ValueError("its end is not a time")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()


def _element(der: bytes, at: int) -> tuple[int, int, int]:
    """Return tag, start and end of the content of the element at `at`, which is also where the next one begins."""
    tag, length, start = der[at], der[at + 1], at + 2
    if length >= LONG_FORM:
        size = length - LONG_FORM
        length, start = int.from_bytes(der[start : start + size], "big"), start + size
    return tag, start, start + length
