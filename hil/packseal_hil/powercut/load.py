"""A recording to be played to an agent: one frame, and so one sample, in each second of the recording's own clock.

With a window of 1 s every frame is sealed by itself; played 40 times faster than recorded, 40 are stored per second.
"""

import math
from pathlib import Path

from packseal.core.quantities import Channel, Quantity
from packseal.demo.frames import Framing

PROFILE = "packseal/reference96"
START_S = 1_700_000_000  # any date
CYCLE_S = 600


def write(path: Path, seconds: int) -> None:
    """Write a candump log of so many frames: a pack of 96 cells that is charged and discharged in turn."""
    framing = Framing(PROFILE)
    with path.open("w", encoding="ascii") as file:
        for second in range(seconds):
            for address, data in framing.frames(_values(second)):
                file.write(f"({START_S + second}.000000) can0 {address:03X}#{data.hex().upper()}\n")


def _values(second: int) -> dict[Channel, float | None]:
    current_a = 60.0 * math.sin(2 * math.pi * second / CYCLE_S)
    return {
        Channel(Quantity.PACK_CURRENT_A): round(current_a, 1),
        Channel(Quantity.PACK_VOLTAGE_V): round(355.0 + 0.1 * current_a, 1),
        Channel(Quantity.STATE_OF_CHARGE_PCT): 50.0 - 10.0 * math.cos(2 * math.pi * second / CYCLE_S),
    }
