"""Allow-list of Modbus: which requests may leave. Pure; what is not named here is refused.

`refusal` looks at the very bytes of a request (its PDU), so whoever made them need not be believed. Source: MODBUS
Application Protocol Specification V1.1b3, the sections named.
"""

READ_COILS, READ_DISCRETE, READ_HOLDING, READ_INPUT = 1, 2, 3, 4  # §6.1 to §6.4
MAX_BITS, MAX_WORDS = 2000, 125  # §6.1, §6.3
ENCAPSULATED, READ_DEVICE_ID = 0x2B, 0x0E  # §6.21
DEVICE_ID_CODES = (1, 2, 3, 4)  # §6.21: basic, regular, extended, one object
READ_BYTES, DEVICE_ID_BYTES = 5, 4  # of the two kinds of request
ADDRESSES = 0x1_0000  # §4.4
BROADCAST = 0
LAST_SERIAL_UNIT, LAST_UNIT = 247, 255
"""MODBUS over Serial Line V1.02 §2.2: 0 is heard by all, 248 to 255 are reserved; a TCP device may have 0 and 255."""

_NAMES = {
    5: "write single coil",
    6: "write single register",
    7: "read exception status",
    8: "diagnostics",
    11: "get comm event counter",
    12: "get comm event log",
    15: "write multiple coils",
    16: "write multiple registers",
    17: "report server id",
    20: "read file record",
    21: "write file record",
    22: "mask write register",
    23: "read/write multiple registers",
    24: "read FIFO queue",
}


def refusal(unit: int, pdu: bytes, *, serial: bool) -> str | None:
    """Return why a request may not leave, in a few words; None where it may.

    Args:
        unit: who is asked.
        pdu: the request from its function code on, without address and checksum.
        serial: whether it goes onto a serial line, where unit 0 is a broadcast.
    """
    if serial and unit == BROADCAST:
        return "a broadcast to every unit"
    if not 0 <= unit <= (LAST_SERIAL_UNIT if serial else LAST_UNIT):
        return "no unit's address"
    if not pdu:
        return "an empty request"
    return _device_id(pdu) if pdu[0] == ENCAPSULATED else _read(pdu)


def _read(pdu: bytes) -> str | None:
    function = pdu[0]
    if function not in (READ_COILS, READ_DISCRETE, READ_HOLDING, READ_INPUT):
        name = _NAMES.get(function)
        return f"Modbus function {function}" + (f", {name}" if name else "")
    if len(pdu) != READ_BYTES:
        return "a read that has not 5 bytes"
    address, count = int.from_bytes(pdu[1:3], "big"), int.from_bytes(pdu[3:5], "big")
    limit = MAX_BITS if function in (READ_COILS, READ_DISCRETE) else MAX_WORDS
    if not 1 <= count <= limit:
        return f"a read of more than {limit}, or of none"
    return "a read beyond the last address" if address + count > ADDRESSES else None


def read_pdu(function: int, address: int, count: int) -> bytes:
    """Return the request that reads `count` registers or bits from `address` on."""
    return bytes((function & 0xFF,)) + (address & 0xFFFF).to_bytes(2, "big") + (count & 0xFFFF).to_bytes(2, "big")


def device_id_pdu(code: int, first: int) -> bytes:
    """Return the request for the identification of a device from object `first` on."""
    return bytes((ENCAPSULATED, READ_DEVICE_ID, code & 0xFF, first & 0xFF))


def _device_id(pdu: bytes) -> str | None:
    if len(pdu) < 2 or pdu[1] != READ_DEVICE_ID:  # noqa: PLR2004 - function and type
        return "Modbus function 43 that is not the reading of a device's identification"
    if len(pdu) != DEVICE_ID_BYTES or pdu[2] not in DEVICE_ID_CODES:
        return "a reading of a device's identification of unknown form"
    return None
