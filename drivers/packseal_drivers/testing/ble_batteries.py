"""Simulated batteries for Bluetooth: what a BMS of each protocol would say of a battery, byte by byte.

Written from the same public facts as the framers, the other way round, and sharing none of their code but constants.
"""

import math
import random
import struct
from dataclasses import dataclass, field

from packseal_drivers.framing.checksums import crc16_modbus

LOADS_A = (-80.0, -40.0, -12.0, -5.0, 0.0, 15.0, 40.0)
CHANGES = 0.1
"""How likely the load is another one after each step."""


@dataclass(slots=True)
class Battery:
    """A battery whose values drift and whose load comes and goes. Current in A, charging positive."""

    chance: random.Random
    cells_v: list[float] = field(default_factory=lambda: [3.3 + 0.002 * i for i in range(16)])
    temperatures_c: list[float] = field(default_factory=lambda: [21.5, 22.0])
    current_a: float = -5.0
    charge_ah: float = 180.0
    capacity_ah: float = 280.0
    cycles: int = 41
    run_s: int = 1_000_000

    @property
    def voltage_v(self) -> float:
        """Of the whole pack."""
        return sum(self.cells_v)

    @property
    def soc_pct(self) -> int:
        """State of charge in whole percent."""
        return max(0, min(100, round(100 * self.charge_ah / self.capacity_ah)))

    def advance(self, seconds: float) -> None:
        """Let time pass: the load steps now and then, every cell follows it and drifts a little."""
        chance = self.chance
        step_a = 0.0
        if chance.random() < CHANGES:
            target = chance.choice(LOADS_A)
            step_a, self.current_a = target - self.current_a, target
        self.current_a += chance.gauss(0, 0.2)
        middle = sum(self.cells_v) / len(self.cells_v)
        pull = 0.02 * (3.3 + 0.0004 * self.current_a - middle)
        self.cells_v = [v + pull + 0.0004 * step_a + chance.gauss(0, 0.001) for v in self.cells_v]
        self.temperatures_c = [max(-20.0, min(60.0, t + chance.gauss(0, 0.05))) for t in self.temperatures_c]
        self.charge_ah = min(self.capacity_ah, max(5.0, self.charge_ah + self.current_a * seconds / 3600))
        self.run_s += math.ceil(seconds)

    def millivolts(self) -> list[int]:
        """Every cell in mV."""
        return [round(1000 * v) for v in self.cells_v]


def jbd_answer(battery: Battery, register: int) -> bytes:
    """Return the answer to the question for register 03 or 04."""
    if register == 4:  # noqa: PLR2004 - the protocol's number
        data = struct.pack(f">{len(battery.cells_v)}H", *battery.millivolts())
    else:
        data = struct.pack(
            ">HhHHHHHHHBBBBB",
            round(100 * battery.voltage_v),
            round(100 * battery.current_a),
            round(100 * battery.charge_ah) & 0xFFFF,
            round(100 * battery.capacity_ah) & 0xFFFF,
            battery.cycles,
            0x2C7C,
            0,
            0,
            0,
            0x20,
            battery.soc_pct,
            3,
            len(battery.cells_v),
            len(battery.temperatures_c),
        )
        data += b"".join(struct.pack(">H", round(10 * t + 2731)) for t in battery.temperatures_c)
    covered = bytes((0, len(data))) + data
    return bytes((0xDD, register)) + covered + struct.pack(">H", -sum(covered) & 0xFFFF) + b"\x77"


def daly_answer(battery: Battery) -> bytes:
    """Return the answer to the question for 62 registers."""
    registers = [0] * 62
    registers[: len(battery.cells_v)] = battery.millivolts()
    for i, celsius in enumerate(battery.temperatures_c):
        registers[0x20 + i] = round(celsius) + 40
    registers[0x28] = round(10 * battery.voltage_v)
    registers[0x29] = round(10 * battery.current_a) + 30000
    registers[0x2A] = 10 * battery.soc_pct
    registers[0x2B], registers[0x2C] = max(battery.millivolts()), min(battery.millivolts())
    registers[0x30] = round(10 * battery.charge_ah)
    registers[0x31], registers[0x32] = len(battery.cells_v), len(battery.temperatures_c)
    registers[0x33] = battery.cycles
    body = bytes((0xD2, 0x03, 124)) + struct.pack(">62H", *registers)
    return body + struct.pack("<H", crc16_modbus(body))


def jk02_frame(battery: Battery, counter: int, places: int = 32) -> bytes:
    """Return a frame of cell information; `places` is 24 or 32."""
    shift = 16 if places == 32 else 0  # noqa: PLR2004 - the layout with 32 cells
    cells = battery.millivolts()
    frame = bytearray(300)
    frame[:6] = b"\x55\xaa\xeb\x90\x02" + bytes((counter & 0xFF,))
    struct.pack_into(f"<{len(cells)}H", frame, 6, *cells)
    struct.pack_into("<IHHBB", frame, 54 + shift, (1 << len(cells)) - 1, round(sum(cells) / len(cells)),
                     max(cells) - min(cells), cells.index(max(cells)), cells.index(min(cells)))  # fmt: skip
    struct.pack_into(f"<{len(cells)}H", frame, 64 + shift, *(55 + i for i in range(len(cells))))
    at, milliamps = 2 * shift, round(1000 * battery.current_a)
    struct.pack_into("<IIi", frame, 118 + at, sum(cells), abs(sum(cells) * milliamps) // 1000, milliamps)
    struct.pack_into("<2h", frame, 130 + at, *(round(10 * t) for t in battery.temperatures_c))
    struct.pack_into("<BIIII", frame, 141 + at, battery.soc_pct, round(1000 * battery.charge_ah),
                     round(1000 * battery.capacity_ah), battery.cycles, 1085)  # fmt: skip
    frame[158 + at] = 100
    struct.pack_into("<I", frame, 162 + at, battery.run_s)
    frame[299] = sum(frame[:299]) & 0xFF
    return bytes(frame)


def medfloat16(value: float) -> bytes:
    """Return the number as Bluetooth's 16-bit float, with three to four digits."""
    for exponent in range(-8, 8):
        mantissa = round(value / 10.0**exponent)
        if abs(mantissa) <= 2045:  # noqa: PLR2004 - what is above stands for special values
            return struct.pack("<H", (exponent & 0xF) << 12 | mantissa & 0xFFF)
    raise OverflowError(value)


def battery_service_values(battery: Battery) -> dict[str, bytes]:
    """Return what each characteristic holds, by its 16-bit UUID."""
    kilowatt_hours = battery.voltage_v / 1000
    energy = (
        medfloat16(battery.voltage_v),
        medfloat16(kilowatt_hours * battery.charge_ah),
        medfloat16(kilowatt_hours * battery.capacity_ah),
        medfloat16(battery.voltage_v * battery.current_a),
    )
    return {
        "2a19": bytes((battery.soc_pct,)),
        "2bea": struct.pack("<BBHb", 0b111, 91, battery.cycles, round(battery.temperatures_c[0])),
        "2bec": struct.pack("<HBB", 1 << 5, 0b10, 5),
        "2bf0": b"\x1e" + b"".join(energy),
    }


def cut(frame: bytes, size: int) -> list[bytes]:
    """Return a frame as notifications of at most `size` bytes."""
    return [frame[i : i + size] for i in range(0, len(frame), size)]
