"""Modbus devices to read: pymodbus' own server and simulator over TCP, TLS and a pair of pseudo-terminals."""

import asyncio
import datetime as dt
import os
import pty
import ssl
import tty
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pymodbus.constants import ExcCodes
from pymodbus.framer import FramerType
from pymodbus.server import ModbusSerialServer, ModbusTcpServer, ModbusTlsServer
from pymodbus.simulator import DataType, SimData, SimDevice

HOST = "127.0.0.1"
Words = dict[int, int]


@dataclass
class Device:
    """One unit: its registers, changeable while it runs, what it was asked, and what it does besides answering."""

    unit: int = 1
    holding: Words = field(default_factory=dict)
    inputs: Words = field(default_factory=dict)
    asked: list[tuple[int, int, int]] = field(default_factory=list)
    decline: Callable[[int, int, int], ExcCodes | None] | None = None
    delay_s: float = 0.0

    def simulated(self) -> SimDevice:
        bits = [SimData(0, values=[False] * 16, datatype=DataType.BITS)]
        return SimDevice(
            id=self.unit,
            simdata=(bits, list(bits), _runs(self.holding), _runs(self.inputs)),
            action=self._action,
        )

    async def _action(
        self, function: int, start: int, address: int, count: int, registers: list[int], values: Any
    ) -> ExcCodes | None:
        assert values is None, "something was written"
        self.asked.append((function, address, count))
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        words = self.holding if function == 3 else self.inputs
        for offset in range(count):
            registers[address - start + offset] = words.get(address + offset, 0)
        return self.decline(function, address, count) if self.decline else None


def _runs(words: Words) -> list[SimData]:
    runs: list[tuple[int, list[int]]] = []
    for address in sorted(words) or [65_000]:
        if runs and runs[-1][0] + len(runs[-1][1]) == address:
            runs[-1][1].append(words.get(address, 0))
        else:
            runs.append((address, [words.get(address, 0)]))
    return [SimData(address, values=values, datatype=DataType.REGISTERS) for address, values in runs]


def _silent_besides(devices: Sequence[Device], *, rtu: bool) -> Callable[[bool, bytes], bytes]:
    """Keep back what the server says in the name of a unit that is not there: it declines, where a line is silent."""
    units = {device.unit for device in devices}

    def packet(sending: bool, data: bytes) -> bytes:  # noqa: FBT001 - pymodbus calls it so
        return b"" if sending and data[0 if rtu else 6] not in units else data

    return packet


def placed(address: int, words: Sequence[int]) -> Words:
    return dict(enumerate(words, address))


@asynccontextmanager
async def tcp_server(*devices: Device, port: int = 0, rtu: bool = False) -> AsyncIterator[int]:
    """Serve the devices; other units stay silent. Gives the port."""
    server = ModbusTcpServer(
        [device.simulated() for device in devices],
        framer=FramerType.RTU if rtu else FramerType.SOCKET,
        address=(HOST, port),
        trace_packet=_silent_besides(devices, rtu=rtu),
    )
    await server.serve_forever(background=True)
    try:
        transport: Any = server.transport
        yield transport.sockets[0].getsockname()[1]
    finally:
        await _shut(server)


@asynccontextmanager
async def tls_server(device: Device, directory: Path, *, mutual: bool = False) -> AsyncIterator[int]:
    """Serve with a certificate that `directory`/ca.pem vouches for, and want such a one where it is `mutual`."""
    certificate(directory)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "ca.pem", directory / "ca.key")
    if mutual:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(directory / "ca.pem")
    server = ModbusTlsServer([device.simulated()], address=(HOST, 0), sslctx=context)
    await server.serve_forever(background=True)
    try:
        transport: Any = server.transport
        yield transport.sockets[0].getsockname()[1]
    finally:
        await _shut(server)


@asynccontextmanager
async def serial_server(line: str, *devices: Device) -> AsyncIterator[None]:
    """Serve at one end of a serial line."""
    server = ModbusSerialServer(
        [device.simulated() for device in devices],
        framer=FramerType.RTU,
        port=line,
        baudrate=19200,
        trace_packet=_silent_besides(devices, rtu=True),
    )
    await server.serve_forever(background=True)
    try:
        yield
    finally:
        await _shut(server)


async def _shut(server: Any) -> None:
    await server.shutdown()


class SerialLine:
    """Two pseudo-terminals with a wire between them. `spoil` may change what the far end says; `unplug` takes one away.

    Enter it within the event loop that carries the bytes.
    """

    def __init__(self) -> None:
        self.spoil: Callable[[bytes], bytes] = bytes
        self.echo = False
        """Whether the near end hears itself."""

    def __enter__(self) -> Self:
        self._near, self._far = pty.openpty(), pty.openpty()
        for _, slave in (self._near, self._far):
            tty.setraw(slave)
        self.near, self.far = os.ttyname(self._near[1]), os.ttyname(self._far[1])
        self._open = True
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._near[0], self._carry, self._near[0], self._far[0])
        self._loop.add_reader(self._far[0], self._carry, self._far[0], self._near[0])
        return self

    def _carry(self, source: int, target: int) -> None:
        data = os.read(source, 4096)
        if self.echo and source == self._near[0]:
            os.write(source, data)
        os.write(target, self.spoil(data) if source == self._far[0] else data)

    def unplug(self) -> None:
        """Take the near end away, as an adapter is pulled out."""
        if self._open:
            self._open = False
            self._loop.remove_reader(self._near[0])
            self._loop.remove_reader(self._far[0])
            for descriptor in self._near:
                os.close(descriptor)

    def __exit__(self, *_: object) -> None:
        self.unplug()
        for descriptor in self._far:
            os.close(descriptor)


def certificate(directory: Path) -> None:
    """Write ca.pem, ca.key: a certificate of 127.0.0.1 that vouches for itself."""
    import ipaddress  # noqa: PLC0415 - only where there is TLS

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "battery")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    (directory / "ca.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (directory / "ca.key").write_bytes(pem)
