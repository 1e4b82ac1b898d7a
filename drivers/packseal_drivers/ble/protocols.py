"""Protocols over Bluetooth LE: where a BMS is heard and asked, what it may be asked, and who takes its frames apart."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from packseal_drivers.ble.plausibility import Trust
from packseal_drivers.framing import battery_service, daly, foreign, jbd, jk02
from packseal_drivers.framing.burst import Notification, Reading

BASE = "-0000-1000-8000-00805f9b34fb"
"""Bluetooth Core Specification vol. 3 part B §2.5.1: what makes 128 bits of a 16-bit UUID."""


FOREIGN = "aiobmsble"
"""What is not spoken here but by that library."""


class Framer(Protocol):
    """From notifications to whole, checked frames. Pure, bounded, total."""

    @property
    def cut(self) -> int:
        """Frames given up; only grows."""

    @property
    def answered(self) -> bool:
        """Whether nothing more is to come of what was asked last."""

    def begin(self, *, unasked: bool = False) -> None:
        """Note a new connection; `unasked`: take any frame, as in a recording without questions."""

    def asked(self, question: bytes) -> None:
        """Note that this is being written now."""

    def feed(self, notification: Notification) -> Reading | None:
        """Take what a characteristic said; return the frame that it completes."""


def full(uuid: str) -> str:
    """Return all 128 bits of a UUID in lower case, given those or 16 of them."""
    return (f"0000{uuid}{BASE}" if len(uuid) == 4 else uuid).lower()  # noqa: PLR2004 - 16 bits in hex


@dataclass(frozen=True, slots=True)
class BleProtocol:
    """One protocol. UUIDs have 128 bits.

    `notify` are the characteristics that are listened to, `reads` those that are read, `write` takes the `questions`.
    `speaks`: it goes on by itself once it was asked. `trust`: how whole its frames are sure to be. `parts`: the names
    that a profile's messages have.
    """

    name: str
    service: str
    parts: tuple[str, ...]
    framer: Callable[[], Framer]
    notify: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    write: str | None = None
    questions: tuple[bytes, ...] = ()
    speaks: bool = False
    trust: Trust = "crc"


_BATTERY_SERVICE = tuple(full(uuid) for uuid in battery_service.LAYOUTS)

PROTOCOLS: Mapping[str, BleProtocol] = MappingProxyType(
    {
        protocol.name: protocol
        for protocol in (
            BleProtocol(
                "jbd",
                full("ff00"),
                jbd.PARTS,
                jbd.JbdFramer,
                notify=(full("ff01"),),
                write=full("ff02"),
                questions=jbd.QUESTIONS,
                trust="sum",
            ),
            BleProtocol(
                "daly",
                full("fff0"),
                daly.PARTS,
                daly.DalyFramer,
                notify=(full("fff1"),),
                write=full("fff2"),
                questions=daly.QUESTIONS,
            ),
            *(
                BleProtocol(
                    f"jk02_{places}s",
                    full("ffe0"),
                    jk02.PARTS,
                    framer,
                    notify=(full("ffe1"),),
                    write=full("ffe1"),
                    questions=jk02.QUESTIONS,
                    speaks=True,
                    trust="sum",
                )
                for places, framer in ((24, lambda: jk02.Jk02Framer(24)), (32, lambda: jk02.Jk02Framer(32)))
            ),
            BleProtocol(
                "battery_service",
                full(battery_service.SERVICE),
                battery_service.PARTS,
                battery_service.BatteryServiceFramer,
                reads=_BATTERY_SERVICE,
                trust="whole",
            ),
            # By what checksum the library holds its frames is not seen here: so it is trusted no more than a sum.
            BleProtocol(FOREIGN, "", foreign.PARTS, foreign.ForeignFramer, reads=(FOREIGN,), trust="sum"),
        )
    }
)
