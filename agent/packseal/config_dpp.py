"""The tables of [[publish]] with kind = "dpp": the operator's own passport backend.

The Structs are the tables; their docstrings are the reference. docs/dpp-backend.md says what is sent when.
"""

import math
from collections.abc import Mapping

import msgspec

from packseal.config_tls import Tls
from packseal.core.passport import FIELD_BY_KEY

MIN_PACE_S, MAX_PACE_S = 1, 86_400
MIN_LONGEST_H, MAX_LONGEST_H = 0.01, 24
MIN_WAIT_S, MAX_WAIT_S = 1, 600
SECTIONS = ("product_condition", "technical_data", "nameplate")


class FileSecret(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="token"):
    """[publish.auth] with kind = "token": a bearer token or a key in a file, read for every request."""

    file: str
    header: str = "Authorization"
    """The header field, such as X-API-KEY."""
    scheme: str = "Bearer"
    """What stands before the secret; an empty text for nothing."""

    def __post_init__(self) -> None:
        if not self.header.replace("-", "").isalnum() or not self.header.isascii():
            raise ValueError("header must be the name of a header field, such as X-API-KEY")


class ClientSecret(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="client-credentials"
):
    """[publish.auth] with kind = "client-credentials": a token from a token server (OAuth 2.0, RFC 6749 §4.4)."""

    token_url: str
    client_id: str
    secret_file: str
    scope: str = ""
    in_body: bool = False
    """Whether id and secret go in the form instead of in the header, for a server that takes them only there."""


class Passport(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[[publish.battery]]: where the passport of one battery is."""

    id: str
    """The battery's."""
    passport: str | None = None
    """The id of its passport. Default: the backend is asked for that of the product with the battery's id."""
    product_condition: str | None = None
    """With dialect = "aas": the id of its submodel IDTA 02035-5. Default: passport or battery, /ProductCondition."""
    technical_data: str | None = None
    """The same of part 4. Without it the fades and the resistance are not sent."""
    nameplate: str | None = None
    """The same of part 1. Without it the status is not sent."""


class Dpp(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="dpp"):
    """[[publish]] with kind = "dpp": the passports at the operator's backend are kept up to date."""

    dialect: str
    """en18222 or aas."""
    url: str
    """Where the interface begins: before /v1 of EN 18222, before /submodels of the AAS API."""
    tls: Tls | None = None
    """A certificate and key here are for a backend that asks who calls (mutual TLS)."""
    auth: FileSecret | ClientSecret | None = None
    battery: tuple[Passport, ...] = ()
    listed_only: bool = False
    """Whether batteries without a [[publish.battery]] are left out, such as those that others are made of."""
    write: str = "auto"
    """en18222: whole (UpdateDPPById) or elements (UpdateDataElement); aas: value ($value) or element (PUT).

    auto takes the first, and the other where the backend does not offer it.
    """
    version: str = "v1"
    """en18222: the part of the path that names the version."""
    header: bool = False
    """en18222: send the passport's header, as it was read, with every patch: for a backend that wants it whole."""
    base64url: bool = False
    """en18222: identifiers in paths in base64url instead of percent-encoded."""
    sections: Mapping[str, str] = {}
    """en18222: what the passport calls the sections product_condition, technical_data and nameplate."""
    thresholds: Mapping[str, float] = {}
    """By field, how far it must change to be sent before a day has passed, in the field's unit."""
    pace_s: float = 600
    """At least so long between two updates of a battery, except on a change of status and on events."""
    longest_h: float = 24
    """After so many hours everything that has a newer value is sent."""
    timeout_s: float = 20
    """For one request and its answer."""
    accept_s: float = 120
    """How long an update that was only accepted (202) may take."""
    proxy: str | None = None
    """http://[user@]host:port (CONNECT) or socks5h://[user@]host:port."""
    proxy_password_file: str | None = None
    interface: str | None = None
    """The network interface to use, such as wwan0."""

    def __post_init__(self) -> None:
        ways = {"en18222": ("whole", "elements"), "aas": ("value", "element")}
        if self.dialect not in ways:
            raise ValueError(f"dialect must be {' or '.join(ways)}")
        if self.write not in ("auto", *ways[self.dialect]):
            raise ValueError(f"write must be auto, {' or '.join(ways[self.dialect])} with dialect {self.dialect}")
        if set(self.sections) - set(SECTIONS):
            raise ValueError(f"sections may name {', '.join(SECTIONS)}")
        for key, value in self.thresholds.items():
            if key not in FIELD_BY_KEY or not (math.isfinite(value) and value >= 0):
                raise ValueError(f"thresholds: {key} must be a field of packseal fields, and its number not below zero")
        self._check_numbers()
        ids = [each.id for each in self.battery]
        if len(set(ids)) != len(ids):
            raise ValueError("a battery has two [[publish.battery]]")

    def _check_numbers(self) -> None:
        limits = {
            "pace_s": (MIN_PACE_S, MAX_PACE_S),
            "longest_h": (MIN_LONGEST_H, MAX_LONGEST_H),
            "timeout_s": (MIN_WAIT_S, MAX_WAIT_S),
            "accept_s": (MIN_WAIT_S, MAX_WAIT_S),
        }
        for name, (least, most) in limits.items():
            if not least <= getattr(self, name) <= most:
                raise ValueError(f"{name} must be from {least:g} to {most:g}")
