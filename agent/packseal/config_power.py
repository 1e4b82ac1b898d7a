"""The table that says who tells of the gateway's own power: [power]. The Structs are its reference."""

import msgspec

NUT_PORT = 3493  # IANA's for "nut"; RFC 9271 §1
NUT_STATES = frozenset(
    ("OL", "OB", "LB", "HB", "RB", "CHRG", "DISCHRG", "BYPASS", "CAL", "OFF", "OVER", "TRIM", "BOOST", "FSD", "ALARM")
)
"""The words of ups.status: RFC 9271 §5.1 and the NUT developer guide's list of status data."""
MIN_POLL_S, MAX_POLL_S = 0.2, 60
MAX_PORT = 65535
MAX_DEBOUNCE_MS = 10_000
MAX_STOP_AFTER_S = 86_400


class Nut(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="nut"):
    """[power] with kind = "nut": a UPS that Network UPS Tools watch. Only reads; needs no user of upsd."""

    ups: str
    """The name of the UPS in upsd's ups.conf."""
    host: str = "127.0.0.1"
    port: int = NUT_PORT
    seal_on: tuple[str, ...] = ("OB",)
    """When one of these words of ups.status appears, every open window is sealed at once."""
    stop_on: tuple[str, ...] = ("LB", "FSD")
    """When one of these appears besides, the agent stops. FSD, an order to shut down, is enough alone."""
    poll_s: float = 2.0

    def __post_init__(self) -> None:
        unknown = sorted({*self.seal_on, *self.stop_on} - NUT_STATES)
        if unknown:
            raise ValueError(f"{unknown[0]!r} is no word of ups.status; there are {', '.join(sorted(NUT_STATES))}")
        if not self.seal_on:
            raise ValueError('seal_on must name at least one word of ups.status, such as "OB"')
        if not self.ups or set(self.ups) & set(' "\\\n'):
            raise ValueError("ups must be the name of a UPS in upsd's ups.conf")
        if not 1 <= self.port <= MAX_PORT:
            raise ValueError(f"port must be from 1 to {MAX_PORT}")
        if not MIN_POLL_S <= self.poll_s <= MAX_POLL_S:
            raise ValueError(f"poll_s must be from {MIN_POLL_S} to {MAX_POLL_S} seconds")


class Gpio(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="gpio"):
    """[power] with kind = "gpio": a line that a UPS HAT pulls when the power fails."""

    line: int
    """The line's number on its chip, as `gpioinfo` lists it; on a Raspberry Pi the BCM number."""
    chip: str = "/dev/gpiochip0"
    active: str = "high"
    """The level that says that the power has failed: high or low."""
    bias: str = "as-is"
    """What holds the line when nobody drives it: as-is, pull-up, pull-down or disabled."""
    debounce_ms: int = 50
    """A level counts when it has held for so long."""
    stop_after_s: float | None = None
    """Seconds without power after which the agent stops in good order, as long as the HAT's battery surely lasts."""

    def __post_init__(self) -> None:
        if self.line < 0:
            raise ValueError("line must not be below 0")
        if self.active not in ("high", "low"):
            raise ValueError('active must be "high" or "low"')
        if self.bias not in ("as-is", "pull-up", "pull-down", "disabled"):
            raise ValueError('bias must be "as-is", "pull-up", "pull-down" or "disabled"')
        if not 0 <= self.debounce_ms <= MAX_DEBOUNCE_MS:
            raise ValueError(f"debounce_ms must be from 0 to {MAX_DEBOUNCE_MS}")
        if self.stop_after_s is not None and not 0 < self.stop_after_s <= MAX_STOP_AFTER_S:
            raise ValueError(f"stop_after_s must be above 0 and at most {MAX_STOP_AFTER_S}")


Power = Nut | Gpio
"""Every kind there is."""
