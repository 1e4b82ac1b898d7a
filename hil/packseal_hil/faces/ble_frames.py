"""What a BMS over Bluetooth says of a battery: the values of a simulated one as vendors' frames. Pure.

The frames are made by `packseal_drivers.testing.ble_batteries`, from the same public facts as the framers and sharing
none of their code.
"""

import random
import struct
from collections.abc import Mapping

from packseal.core.quantities import Channel, Quantity
from packseal_drivers.testing import ble_batteries
from packseal_drivers.testing.ble_batteries import Battery, daly_answer, jbd_answer, jk02_frame, medfloat16
from packseal_hil.rig.protocols import RigError

ANSWER_BYTES = 20
"""Of one notification where nothing larger was agreed: ATT_MTU 23 less 3 (Bluetooth Core 6.0 vol. 3 part F §3.2.8)."""
MOST_CELLS = {"jbd": 32, "daly": 32, "jk02_24s": 24, "jk02_32s": 32}
MOST_SENSORS = {"jbd": 8, "daly": 8, "jk02_24s": 2, "jk02_32s": 2}
JK_START, JK_DEVICE_INFO, JK_FRAME_BYTES = b"\x55\xaa\xeb\x90", 0x97, 300
JK_SAYS_DEVICE = 0x03
CHEMISTRY_LITHIUM_ION = 5
HOURS_TO_S = 3600.0
BASIC_AT = 2
"""Of the register in a question of JBD's."""
CODE_AT = 4
"""Of the command in one of JK's."""

Values = Mapping[Channel, float]


class SaidBattery(Battery):
    """What a simulated BMS has said, as those that make frames want it.

    These frames have no way to say that a value is not known: a silent sensor's last one stays, as in the real ones.
    """

    def __init__(self, sensors: int) -> None:
        super().__init__(random.Random(0))  # which draws nothing: what is said comes from elsewhere
        self.sensors = sensors
        self.stated_v = self.stated_soc_pct = 0.0

    @property
    def voltage_v(self) -> float:
        """As its own sensor measures it."""
        return self.stated_v

    @property
    def soc_pct(self) -> int:
        """As stated, in whole percent."""
        return max(0, min(100, round(self.stated_soc_pct)))

    def take(self, values: Values) -> None:
        """Take what is said now."""
        cells = _each(values, Quantity.CELL_VOLTAGE_V)
        self.cells_v = cells or self.cells_v
        self.temperatures_c = (_each(values, Quantity.TEMPERATURE_C) or self.temperatures_c)[: self.sensors]
        self.stated_v = values.get(Channel(Quantity.PACK_VOLTAGE_V), self.stated_v)
        self.current_a = values.get(Channel(Quantity.PACK_CURRENT_A), self.current_a)
        self.stated_soc_pct = values.get(Channel(Quantity.STATE_OF_CHARGE_PCT), self.stated_soc_pct)
        self.charge_ah = values.get(Channel(Quantity.REMAINING_CHARGE_AH), self.charge_ah)
        self.capacity_ah = values.get(Channel(Quantity.FULL_CHARGE_CAPACITY_AH), self.capacity_ah)
        self.cycles = int(values.get(Channel(Quantity.CYCLES), self.cycles))
        self.run_s = int(values.get(Channel(Quantity.OPERATING_TIME_H), self.run_s / HOURS_TO_S) * HOURS_TO_S)


class Frames:
    """Questions in, answers out, as pieces of notifications.

    Args:
        protocol: by its name in `packseal_drivers.ble.protocols`.
        values: what the BMS says at the beginning.

    Raises:
        RigError: the battery has more cells than the protocol has places for.
    """

    def __init__(self, protocol: str, values: Values) -> None:
        cells = len(_each(values, Quantity.CELL_VOLTAGE_V))
        if protocol in MOST_CELLS and not 1 <= cells <= MOST_CELLS[protocol]:
            raise RigError(f"{protocol} tells of 1 to {MOST_CELLS[protocol]} cells, and this battery has {cells}")
        self._protocol = protocol
        self._battery = SaidBattery(MOST_SENSORS.get(protocol, 1))
        self._counter = 0
        self.says(values)

    def says(self, values: Values) -> None:
        """Take what the BMS says from now on."""
        self._values = values
        self._battery.take(values)

    def answer(self, question: bytes) -> list[bytes]:
        """Return the notifications that answer a question; none where it is not one that is known."""
        match self._protocol:
            case "jbd" if len(question) > BASIC_AT:
                return self._cut(jbd_answer(self._battery, question[BASIC_AT]))
            case "daly":
                return self._cut(daly_answer(self._battery))
            case "jk02_24s" | "jk02_32s" if len(question) > CODE_AT:
                return self._cut(self._device()) if question[CODE_AT] == JK_DEVICE_INFO else self.spoken()
        return []

    def spoken(self) -> list[bytes]:
        """Return what one that speaks by itself says each time: JK's cells and state."""
        self._counter += 1
        return self._cut(jk02_frame(self._battery, self._counter, MOST_CELLS[self._protocol]))

    def value(self, uuid: str) -> bytes:
        """Return the value of a characteristic of the Battery Service, by its 16-bit UUID in hex; empty where none."""
        return _battery_service(self._values, self._battery).get(uuid, b"")

    def _cut(self, frame: bytes) -> list[bytes]:
        return ble_batteries.cut(frame, ANSWER_BYTES)

    def _device(self) -> bytes:
        body = (JK_START + bytes((JK_SAYS_DEVICE, 0)) + b"JK-BENCH").ljust(JK_FRAME_BYTES - 1, b"\0")
        return body + bytes((sum(body) & 0xFF,))


def _each(values: Values, quantity: Quantity) -> list[float]:
    """Return the values of one quantity in the order of their places."""
    return [value for channel, value in sorted(values.items(), key=_place) if channel.quantity is quantity]


def _place(item: tuple[Channel, float]) -> int:
    return item[0].index


def _battery_service(values: Values, battery: SaidBattery) -> dict[str, bytes]:
    """Return what each characteristic holds, with the flags of what is known (GATT Specification Supplement)."""
    soh_pct = round(max(0.0, min(100.0, values.get(Channel(Quantity.STATE_OF_HEALTH_PCT), 100.0))))
    celsius = round(battery.temperatures_c[0])
    energies = (Quantity.ENERGY_REMAINING_KWH, Quantity.FULL_CHARGE_ENERGY_KWH)
    energy = (
        medfloat16(battery.voltage_v),
        *(medfloat16(values.get(Channel(quantity), 0.0)) for quantity in energies),
        medfloat16(battery.voltage_v * battery.current_a),
    )
    return {
        "2a19": bytes((battery.soc_pct,)),
        "2bea": struct.pack("<BBHb", 0b111, soh_pct, battery.cycles & 0xFFFF, celsius),
        "2bec": struct.pack("<HBB", 1 << 5, 0b10, CHEMISTRY_LITHIUM_ION),
        "2bf0": b"\x1e" + b"".join(energy),
    }
