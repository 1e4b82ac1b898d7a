"""What stands in the vector files: test keys and bodies as JSON, and what this program makes of them.

Numbers are the integers that the record carries (values times ten to the power of the table's digits), so that an
implementation without floating point can read them; byte strings are `{"hex": …}` or plain hex where nothing else can
stand.
"""

from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from packseal.core import cose
from packseal.core.bodies import Body, Event, Gap, GapCause, Kind, Lifecycle, LifecycleCode, Telemetry
from packseal.core.passport import FIELD_BY_CODE, Method, Missing, Originator, Reading, Snapshot
from packseal.core.quantities import BY_CODE, Channel
from packseal.core.record import Header
from packseal.core.sample import ClockQuality, EventCode, Flaw, Instant, Sample
from packseal.core.summary import Cell, Summary, Table

Json = Mapping[str, Any]


class VectorSigner:
    """Signs with a published test key; ECDSA by RFC 6979, so that the same bytes come out every time."""

    def __init__(self, key: Json) -> None:
        secret = bytes.fromhex(key["private"])
        self._key: Ed25519PrivateKey | ec.EllipticCurvePrivateKey
        if key["algorithm"] == "EdDSA":
            self._key = Ed25519PrivateKey.from_private_bytes(secret)
        else:
            self._key = ec.derive_private_key(int.from_bytes(secret, "big"), ec.SECP256R1())
        self.public = cose.public_key(self._key.public_key())
        self.algorithm = self.public.algorithm
        self.kid = self.public.kid

    @property
    def pem(self) -> str:
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return self._key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()

    def sign(self, data: bytes) -> bytes:
        if isinstance(self._key, Ed25519PrivateKey):
            return self._key.sign(data)
        r, s = decode_dss_signature(self._key.sign(data, ec.ECDSA(SHA256(), deterministic_signing=True)))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def header(at: Json) -> Header:
    return Header(
        log_id=bytes.fromhex(at["log_id"]),
        sequence=at["sequence"],
        previous=bytes.fromhex(at["previous"]),
        boot_id=bytes.fromhex(at["boot_id"]),
        mono_ms=at["mono_ms"],
        wall_ms=at["wall_ms"],
        quality=ClockQuality(at["clock_quality"]),
    )


def body(kind: int, of: Json) -> Body:
    match Kind(kind):
        case Kind.SNAPSHOT:
            readings = tuple(_reading(r) for r in of["readings"])
            return Snapshot(readings, _values(of.get("present", ())), tuple(of.get("cells_mv", ())), of.get("began_ms"))
        case Kind.TELEMETRY:
            window = (of["first_mono_ms"], of["first_wall_ms"], of["count"], of["span_ms"])
            return Telemetry(*window, bytes.fromhex(of["columns"]))
        case Kind.EVENT:
            return Event(EventCode(of["code"]), _attributes(of))
        case Kind.GAP:
            return Gap(GapCause(of["cause"]), of["from_wall_ms"], of["to_wall_ms"], _attributes(of))
        case Kind.LIFECYCLE:
            return Lifecycle(LifecycleCode(of["code"]), _attributes(of))
        case Kind.SUMMARY:
            place = (of["period_ms"], of["first"], of["last"], bytes.fromhex(of["boot_id"]))
            times = (ClockQuality(of["clock_quality"]), of["first_mono_ms"], of["first_wall_ms"], of["span_ms"])
            return Summary(*place, *times, of["samples"], of["count"], bytes.fromhex(of["columns"]))


def table(rows: list[Json]) -> Table:
    """The table of a summary's rows: `cells` are [quantity, index, minimum, mean, maximum, count]."""
    columns: dict[Channel, list[Cell | None]] = {}
    for number, row in enumerate(rows):
        for code, index, *cell in row["cells"]:
            columns.setdefault(Channel(BY_CODE[code], index), [None] * len(rows))[number] = Cell(*cell)
    flaws = {
        (number, Channel(BY_CODE[code], index), Flaw(flaw)): count
        for number, row in enumerate(rows)
        for code, index, flaw, count in row.get("flaws", ())
    }
    return Table([row["number"] for row in rows], [row["samples"] for row in rows], columns, flaws)


def samples(rows: list[Json]) -> list[Sample]:
    return [
        Sample(
            Instant(row["mono_ms"] * 1_000_000, 0, ClockQuality.NTP),
            _values(row["values"]),
            {Channel(BY_CODE[code], index): Flaw(flaw) for code, index, flaw in row.get("flaws", ())},
        )
        for row in rows
    ]


def _values(entries: list[tuple[int, int, int]]) -> dict[Channel, float]:
    return {Channel(BY_CODE[c], index): number / 10 ** BY_CODE[c].decimals for c, index, number in entries}


def _reading(of: Json) -> Reading:
    field = FIELD_BY_CODE[of["field"]]
    if "missing" in of:
        return Reading(field, missing=Missing(of["missing"]))
    uncertainty, coverage = of.get("uncertainty"), of.get("coverage_permille")
    return Reading(
        field,
        of["value"] / 10**field.decimals,
        None,
        Originator(of["originator"]),
        Method(of["method"]),
        of["last_update_ms"],
        None if uncertainty is None else uncertainty / 10**field.decimals,
        None if coverage is None else coverage / 1000,
    )


def _attributes(of: Json) -> dict[str, int | str | bytes]:
    return {
        name: bytes.fromhex(fact["hex"]) if isinstance(fact, dict) else fact
        for name, fact in of.get("attributes", {}).items()
    }
