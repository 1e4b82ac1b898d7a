"""Text: from a file's bytes to its lines, whatever the editor thought of encodings and line ends."""

import codecs
from dataclasses import dataclass

from packseal_drivers.dbc_doctor.finding import Finding, Refused

MAX_BYTES = 16 << 20
"""The largest public files have 2 MB."""

EDITORS_ENCODING = "cp1252"  # what the DBC editors write; cantools reads files so, too


@dataclass(frozen=True, slots=True)
class Decoded:
    """The file's text, its lines ended by a line feed alone."""

    text: str
    findings: tuple[Finding, ...]


def decode(raw: bytes) -> Decoded:
    """Return the text; raises Refused for what is no text. Names are ASCII, so a wrong guess spoils comments alone."""
    findings: list[Finding] = []
    if len(raw) > MAX_BYTES:
        raise Refused(1, f"a DBC file has at most {MAX_BYTES >> 20} MiB, this one has {len(raw)} bytes")
    text = _decode(raw, findings)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    for number, line in enumerate(text.split("\n"), 1):
        if "\0" in line:
            raise Refused(number, "holds a zero byte, so it is not text: name a DBC file")
    return Decoded(text, tuple(findings))


def _decode(raw: bytes, findings: list[Finding]) -> str:
    if raw.startswith(codecs.BOM_UTF8):
        findings.append(Finding(1, "begins with a byte order mark; left out"))
        raw = raw.removeprefix(codecs.BOM_UTF8)
    elif raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        findings.append(Finding(1, "is UTF-16; read as such"))
        return raw.decode("utf-16", errors="replace")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode(EDITORS_ENCODING, errors="replace")
