"""The TLS table that every road over a network shares: whom to trust and who we are."""

import msgspec


class Tls(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[uplink.tls] and [publish.tls]: PEM files. Without `authorities` the machine's own list is trusted."""

    authorities: str | None = None
    certificate: str | None = None
    key: str | None = None
