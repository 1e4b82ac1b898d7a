"""Bluetooth SIG Battery Service 1.1 (0x180F): its characteristics, taken apart by their flags.

Facts: Battery Service 1.1 and the GATT Specification Supplement, both of the Bluetooth SIG. All is little endian; an
optional field is there when its bit of the flags is set, in the order of the bits. A field becomes a part of a reading
under its name here, as it was sent; what it means in a quantity's unit is the profile's business.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from packseal_drivers.framing.burst import Notification, Reading

SERVICE = "180f"


class Layout(NamedTuple):
    """A characteristic: bytes of the flags (0: none), fields that are always there, and one per bit of the flags."""

    flags: int
    always: tuple[tuple[str, int], ...] = ()
    optional: tuple[tuple[str, int], ...] = ()


LAYOUTS: Mapping[str, Layout] = MappingProxyType(
    {
        "2a19": Layout(0, (("battery_level", 1),)),
        "2be9": Layout(0, (("critical_status", 1),)),
        "2bea": Layout(
            1, (), (("health_summary", 1), ("cycle_count", 2), ("temperature", 1), ("deep_discharge_count", 2))
        ),
        "2beb": Layout(1, (), (("designed_cycles", 2), ("designed_temperatures", 2))),
        "2bec": Layout(
            2,
            (("features", 1),),
            (
                ("manufacture_date", 3),
                ("expiration_date", 3),
                ("designed_capacity", 2),
                ("low_energy", 2),
                ("critical_energy", 2),
                ("chemistry", 1),
                ("nominal_voltage", 2),
                ("aggregation_group", 1),
            ),
        ),
        "2bed": Layout(1, (("power_state", 2),), (("identifier", 2), ("status_level", 1), ("additional_status", 1))),
        "2bee": Layout(1, (("time_until_discharged", 3),), (("time_on_standby", 3), ("time_until_recharged", 3))),
        "2bef": Layout(0, (("service_date", 3),)),
        "2bf0": Layout(
            1,
            (),
            (
                ("external_power", 2),
                ("present_voltage", 2),
                ("available_energy", 2),
                ("available_capacity", 2),
                ("charge_rate", 2),
                ("energy_at_last_charge", 2),
            ),
        ),
    }
)

PARTS = tuple(name for layout in LAYOUTS.values() for name, _ in (*layout.always, *layout.optional))

CHEMISTRIES: Mapping[int, str] = MappingProxyType(
    {
        0: "unknown",
        1: "alkaline",
        2: "lead acid",
        3: "lithium iron disulfide",
        4: "lithium manganese dioxide",
        5: "lithium ion",
        6: "lithium polymer",
        7: "nickel oxyhydroxide",
        8: "nickel cadmium",
        9: "nickel metal hydride",
        10: "silver zinc",
        11: "zinc chloride",
        12: "zinc air",
        13: "zinc carbon",
        255: "other",
    }
)
"""3 is a primary cell and no lithium iron phosphate: that is 5, as every lithium ion battery is."""


def split(uuid: str, data: bytes) -> dict[str, bytes] | None:
    """Return a characteristic's fields by name, as they were sent; None where they do not fit its flags.

    Args:
        uuid: the 16-bit UUID in hex.
        data: the characteristic's value. Bytes behind the last known field are of a later version, and left out.
    """
    layout = LAYOUTS[uuid]
    flags = int.from_bytes(data[: layout.flags], "little")
    wanted = [*layout.always, *(field for bit, field in enumerate(layout.optional) if flags >> bit & 1)]
    fields: dict[str, bytes] = {}
    at = layout.flags
    for name, size in wanted:
        if len(data) < at + size:
            return None
        fields[name] = data[at : at + size]
        at += size
    return fields if len(data) >= layout.flags else None


class BatteryServiceFramer:
    """Values of characteristics in, readings out: each is whole by itself."""

    answered = True

    def __init__(self) -> None:
        self.cut = 0
        """Values that do not fit their flags."""

    def begin(self, *, unasked: bool = False) -> None:
        """Begin anew."""

    def asked(self, question: bytes) -> None:
        """Note nothing: characteristics are read."""

    def feed(self, notification: Notification) -> Reading | None:
        """Take one value."""
        uuid = notification.uuid[4:8]
        if uuid not in LAYOUTS:
            return None
        fields = split(uuid, notification.data)
        if fields is None:
            self.cut += 1
            return None
        return Reading(uuid, tuple(fields.items()), notification.mono_ns, doubtful=False) if fields else None
