"""Allow-list of Bluetooth: every byte string that may be written to a battery, and where. Nothing else ever is.

The strings stand here as they are sent, apart from the code that makes them, so that a fault there cannot widen what is
allowed. Each is a read: the sources are named in the framer of the protocol.
"""

from collections.abc import Mapping
from types import MappingProxyType

WRITES: Mapping[str, frozenset[tuple[str, bytes]]] = MappingProxyType(
    {
        "jbd": frozenset(
            {
                ("0000ff02-0000-1000-8000-00805f9b34fb", bytes.fromhex("DD A5 03 00 FF FD 77")),  # basic information
                ("0000ff02-0000-1000-8000-00805f9b34fb", bytes.fromhex("DD A5 04 00 FF FC 77")),  # cell voltages
            }
        ),
        "daly": frozenset(
            {("0000fff2-0000-1000-8000-00805f9b34fb", bytes.fromhex("D2 03 00 00 00 3E D7 B9"))}  # 62 registers
        ),
        **{
            name: frozenset(
                {
                    (  # device information
                        "0000ffe1-0000-1000-8000-00805f9b34fb",
                        bytes.fromhex("AA 55 90 EB 97 00 00 00 00 00 00 00 00 00 00 00 00 00 00 11"),
                    ),
                    (  # cell information
                        "0000ffe1-0000-1000-8000-00805f9b34fb",
                        bytes.fromhex("AA 55 90 EB 96 00 00 00 00 00 00 00 00 00 00 00 00 00 00 10"),
                    ),
                }
            )
            for name in ("jk02_24s", "jk02_32s")
        },
    }
)
"""By protocol. What is not a key here is never written to, as the Battery Service."""


def refusal(protocol: str, uuid: str, data: bytes) -> str | None:
    """Return why a write may not leave, in a few words; None where it may."""
    allowed = WRITES.get(protocol, frozenset())
    if not allowed:
        return f"a write where {protocol} is only read"
    if uuid not in {where for where, _ in allowed}:
        return "a write to a characteristic that takes no questions"
    return None if (uuid, data) in allowed else "a write that is none of the protocol's questions"
