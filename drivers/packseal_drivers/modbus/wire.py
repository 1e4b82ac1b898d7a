"""Wire: pymodbus' asynchronous client for one connection, opened so that it can send nothing but what is permitted."""

import logging
import struct
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException
from pymodbus.framer import FramerBase, FramerType
from pymodbus.framer.rtu import FramerRTU
from pymodbus.framer.socket import FramerSocket
from pymodbus.pdu import DecodePDU
from pymodbus.transport import CommParams, CommType

from packseal.core.errors import LinkError
from packseal_drivers.settings import Modbus

if TYPE_CHECKING:
    import ssl

    from pymodbus.client.base import ModbusBaseClient

MAX_HEARD = 64
"""So many frames are told apart while one answer is waited for; a flood of them says nothing more."""
LONG_S = 3600.0
"""pymodbus' own limit, which is left to whoever asks."""

logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)  # what it logs is counted, and told once per outage

Hooks = tuple[Callable[[bool, bytes], bytes], Callable[[bool], None]]
"""pymodbus calls the first with every packet that it sends or receives, the second when it is connected or cut off."""


class Heard:
    """What a framer has met since the last `begin`: whole frames by unit and function, and how often nonsense."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Forget."""
        self.frames: list[tuple[int, int]] = []
        self.broken = 0

    def note(self, used: int, unit: int, pdu: bytes) -> None:
        """Account for what a framer has made of some bytes."""
        if not pdu:
            self.broken += bool(used)
        elif len(self.frames) < MAX_HEARD:
            self.frames.append((unit, pdu[0]))


class _Careful(FramerBase):
    """A framer of pymodbus that notes what it meets, and never lets bad bytes end the connection."""

    def __init__(self, heard: Heard) -> None:
        super().__init__(DecodePDU(False))  # noqa: FBT003 - pymodbus' own
        self._heard = heard

    def decode(self, data: bytes) -> tuple[int, int, int, bytes]:
        """Take the first frame off the data."""
        used, unit, transaction, pdu = super().decode(data)
        self._heard.note(used, unit, pdu)
        return used, unit, transaction, pdu

    def handleFrame(self, data: bytes, exp_devid: int, exp_tid: int) -> tuple[int, Any]:  # noqa: N802 - pymodbus' own
        """Return how much of the data is used up, and the answer where it is whole."""
        try:
            return super().handleFrame(data, exp_devid, exp_tid)
        except (ModbusException, ValueError, LookupError, struct.error):
            self._heard.broken += 1  # such as a byte count that does not fit, or a function that nobody knows
            return len(data), None


class _CarefulSocket(_Careful, FramerSocket):
    """That of Modbus/TCP."""


class _CarefulRtu(_Careful, FramerRTU):
    """That of Modbus RTU."""


class _TlsClient(AsyncModbusTcpClient):
    """Modbus/TCP Security: the frames of Modbus/TCP. pymodbus' own TLS framer takes a part of one for all of it."""

    def __init__(self, settings: Modbus, context: "ssl.SSLContext", connect_s: float, hooks: Hooks) -> None:
        self.comm_params = CommParams(
            comm_type=CommType.TLS,
            host=settings.host or "",
            port=settings.tcp_port,
            sslctx=context,
            comm_name="modbus",
            reconnect_delay=0.0,
            timeout_connect=connect_s,
        )
        super().__init__("", framer=FramerType.SOCKET, retries=0, trace_packet=hooks[0], trace_connect=hooks[1])


def make(settings: Modbus, directory: Path, connect_s: float, heard: Heard, hooks: Hooks) -> "ModbusBaseClient":
    """Return a client that is not connected yet.

    Raises:
        LinkError: a file for TLS cannot be used.
    """
    client: ModbusBaseClient
    common: dict[str, Any] = {"reconnect_delay": 0, "timeout": connect_s, "retries": 0}
    common |= {"trace_packet": hooks[0], "trace_connect": hooks[1]}
    if settings.transport == "rtu":
        client = AsyncModbusSerialClient(
            settings.device or "",
            framer=FramerType.RTU,
            baudrate=settings.baud,
            parity=settings.parity[0].upper(),
            stopbits=settings.stop_bits,
            handle_local_echo=settings.local_echo,
            **common,
        )
    elif settings.transport == "tls":
        client = _TlsClient(settings, _context(settings, directory), connect_s, hooks)
    else:
        client = AsyncModbusTcpClient(
            settings.host or "",
            port=settings.tcp_port,
            framer=FramerType.RTU if settings.is_rtu else FramerType.SOCKET,
            **common,
        )
    framer: FramerBase = _CarefulRtu(heard) if settings.is_rtu else _CarefulSocket(heard)
    client.ctx.framer = framer
    return client


async def connect(client: "ModbusBaseClient", where: str) -> None:
    """Open the connection; raises LinkError with the system's own reason."""
    reasons: list[str] = []
    create = client.ctx.call_create

    async def creating() -> Any:
        try:
            return await create()
        except (OSError, ValueError) as error:
            reasons.append(str(error) or type(error).__name__)
            raise OSError(reasons[0]) from error

    client.ctx.call_create = creating
    if not await client.connect():
        raise LinkError(f"{where} cannot be opened: {reasons[0] if reasons else 'no answer in time'}")
    client.ctx.comm_params.timeout_connect = LONG_S


def _context(settings: Modbus, directory: Path) -> "ssl.SSLContext":
    import ssl  # noqa: PLC0415 - most connections are plain

    def path(name: str | None) -> Path | None:
        return None if name is None else directory / name

    try:
        context = ssl.create_default_context(cafile=path(settings.authorities))
        if settings.certificate is not None:
            context.load_cert_chain(directory / settings.certificate, path(settings.key))
    except OSError as error:  # an SSLError is one as well
        raise LinkError(f"the TLS files of {settings.where} cannot be used: {error}") from error
    return context
