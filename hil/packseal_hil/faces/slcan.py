"""SlcanAdapter: the host's end of the gateway's UART, where the gateway sees a serial CAN adapter and its bus.

The gateway's kernel makes a network interface of it (slcan), whose controller can be driven to every state. After
bus-off that driver refuses restart-ms, so mending needs the interface set down and up: `Interface` does that.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from packseal_hil.faces import slcan_text as text
from packseal_hil.faces.pacing import Arbitration, bits
from packseal_hil.faces.slcan_text import SlcanReader, Word
from packseal_hil.faces.uart import CONNECT_S, Uart
from packseal_hil.rig.protocols import BusFault, CanFrame, RigError

BIT_RATE = 500_000
"""Until the gateway names another with S."""
SLICE_S = 0.005
"""Frames due within this time are written together: a wake-up for each would cost more than the frame."""
AGAIN_S = 0.2
"""After it was opened, a bus in trouble says so again; the driver forgets what comes before it has set itself up."""
TROUBLES = (BusFault.WARNING, BusFault.PASSIVE, BusFault.OFF)
DEAF = (BusFault.OFF, BusFault.UNPLUGGED, BusFault.GONE)

log = logging.getLogger(__name__)


class Interface(Protocol):
    """The gateway's network interface over this adapter."""

    async def restart(self) -> None:
        """Set it down and up."""

    async def remove(self) -> None:
        """Take the adapter out: the interface is no more."""

    async def attach(self) -> None:
        """Plug the adapter in again, and set the interface up."""


class SlcanAdapter:
    """A bus with the gateway on it and any number of nodes of ours. A `Bus`.

    While the machine is off or nobody reads its UART, frames are lost, as they are for a gateway without power.

    Args:
        path: the Unix socket of the UART, which the machine listens at.
        channel: the interface's name on the gateway.
        interface: sets it down and up; None: bus-off ends only when the gateway opens the adapter again.
        bit_rate: until the gateway names another.
    """

    def __init__(
        self, path: Path, channel: str = "can0", interface: Interface | None = None, bit_rate: int = BIT_RATE
    ) -> None:
        self._channel = channel
        self.interface = interface
        self.bit_rate = bit_rate
        self._listeners: list[Callable[[CanFrame], None]] = []
        self._queue = Arbitration()
        self._work, self._idle, self._opened = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._reader = SlcanReader()
        self._uart = Uart(path, self._hear, self._changed)
        self._pumping: asyncio.Task[None] | None = None
        self._free_s = 0.0
        self._fault = BusFault.NONE
        self._told_alone = False
        self.sent = self.lost = self.heard = self.wrong = 0
        """Frames to the gateway, frames lost on the way to or from it, frames of the gateway, lines that are none."""

    @property
    def link(self) -> Mapping[str, str]:
        """The agent's [battery.link] table for this bus."""
        return {"kind": "socketcan", "channel": self._channel}

    @property
    def is_open(self) -> bool:
        """Whether the gateway has opened the adapter."""
        return self._opened.is_set()

    async def connect(self, timeout_s: float = CONNECT_S) -> None:
        """Connect to the UART, again after every power cycle; raises RigError when nobody listens there in time."""
        await self._uart.connect(timeout_s)
        if self._pumping is None:
            self._pumping = asyncio.create_task(self._pump())

    async def opened(self, timeout_s: float) -> None:
        """Wait until the gateway has opened the adapter; raises RigError when it does not in time."""
        try:
            await asyncio.wait_for(self._opened.wait(), timeout_s)
        except TimeoutError as error:
            raise RigError(f"the gateway has not opened the CAN adapter within {timeout_s:g} s") from error

    async def close(self) -> None:
        """Disconnect; may be called twice."""
        if self._pumping is not None:
            self._pumping.cancel()
            await asyncio.gather(self._pumping, return_exceptions=True)
        self._pumping = None
        await self._uart.close()
        self._drop()

    async def send(self, frames: Sequence[CanFrame], node: str = "battery") -> None:
        """Put frames of one node on the bus; returns when all have left. Those that a fault keeps off are lost.

        Raises:
            RigError: it was never connected, or a frame is no classic one.
        """
        too_long = next((f for f in frames if len(f.data) > text.CLASSIC_BYTES), None)
        if too_long is not None:
            raise RigError(f"0x{too_long.address:X} has {len(too_long.data)} bytes, and slcan carries classic CAN only")
        self._check()
        if not self._is_on_bus:
            self.lost += len(frames)
            return
        self._queue.put(node, frames)
        self._idle.clear()
        self._work.set()
        await self._idle.wait()

    def node(self, name: str) -> "Node":
        """Return this bus as another node has it, whose frames compete with those of the others."""
        return Node(self, name)

    def listen(self, heard: Callable[[CanFrame], None]) -> None:
        """Have `heard` called with every frame that the gateway sends."""
        self._listeners.append(heard)

    def forget_listeners(self) -> None:
        """Call nobody any more of those who were to be called until now."""
        self._listeners.clear()

    async def fault(self, fault: BusFault) -> None:
        """Put the bus into this state; NONE mends it, interface included.

        Raises:
            RigError: it was never connected, or the adapter is to be taken out and there is no `interface`.
        """
        self._check()
        if BusFault.GONE in (fault, self._fault) and self.interface is None:
            raise RigError("this bus cannot take its adapter out: it does not know the gateway's interface")
        before, self._fault = self._fault, fault
        self._told_alone = False
        if fault in DEAF:
            self._drop()
        await self._turn(before, fault)

    def error(self, kinds: str) -> None:
        """Report up to 8 errors of the bus, one letter each as the slcan driver has them.

        They are a (acknowledge), b and B (bit), c (CRC), f (form), s (stuff), o and O (overrun on receipt, on sending).
        """
        self._uart.write(b"e%d%b\r" % (len(kinds), kinds.encode()))

    async def _turn(self, before: BusFault, fault: BusFault) -> None:
        """Make the gateway's side what the fault says."""
        if before is BusFault.GONE and fault is not BusFault.GONE and self.interface is not None:
            await self.interface.attach()
        elif before is BusFault.OFF and fault is not BusFault.OFF:
            if self.interface is not None:
                await self.interface.restart()
            else:
                self._opened.clear()
        if fault is BusFault.GONE and before is not BusFault.GONE and self.interface is not None:
            await self.interface.remove()
        elif fault in TROUBLES or (fault is BusFault.NONE and before is not BusFault.OFF):
            self._uart.write(text.STATES[fault])

    @property
    def _is_on_bus(self) -> bool:
        return self._opened.is_set() and self._fault not in DEAF

    def _check(self) -> None:
        if self._pumping is None:
            raise RigError("the CAN adapter is not connected")

    def _changed(self, connected: bool) -> None:  # noqa: FBT001 - a callback's one argument
        del connected  # either way the gateway has yet to open it
        self._opened.clear()
        self._reader = SlcanReader()
        self._drop()

    def _drop(self) -> None:
        self.lost += len(self._queue)
        self._queue.clear()
        self._idle.set()

    def _hear(self, data: bytes) -> None:
        for line in self._reader.feed(data):
            if line.frame is not None:
                self._take_frame(line.frame)
            else:
                self._take_word(line)
            self._uart.write(text.answer_to(line))

    def _take_word(self, line: text.Line) -> None:
        if line.word in (Word.OPEN, Word.LISTEN):
            self._opened.set()
            self._told_alone = False
            asyncio.get_running_loop().call_later(AGAIN_S, self._trouble_again)
        elif line.word is Word.CLOSE:
            self._opened.clear()
            self._drop()
        elif line.word is Word.BIT_RATE:
            self.bit_rate = line.number
        elif line.word is Word.WRONG:
            self.wrong += 1
            log.debug("the gateway's UART said what is no slcan")

    def _trouble_again(self) -> None:
        if self._fault in TROUBLES:
            self._uart.write(text.STATES[self._fault])

    def _take_frame(self, frame: CanFrame) -> None:
        if self._fault is BusFault.UNPLUGGED and not self._told_alone:
            # Nobody acknowledges: after sixteen tries of eight counts each the controller is error-passive, and it
            # stays so (ISO 11898-1 §12.1.4.2, the exception for errors of acknowledgement).
            self._told_alone = True
            self._uart.write(text.NO_ACKNOWLEDGE + text.ALONE)
        if not self._is_on_bus:
            self.lost += 1
            return
        self.heard += 1
        self._occupy(frame)
        for listener in self._listeners:
            listener(frame)

    def _occupy(self, frame: CanFrame) -> None:
        self._free_s = max(self._free_s, time.monotonic()) + bits(frame) / self.bit_rate

    async def _pump(self) -> None:
        while True:
            await self._work.wait()
            ahead_s = self._free_s - time.monotonic()
            if ahead_s > SLICE_S:
                await asyncio.sleep(ahead_s)
            self._write_some()
            await asyncio.sleep(0)

    def _write_some(self) -> None:
        """Write the frames that begin within the next slice."""
        end_s = time.monotonic() + SLICE_S
        while self._free_s <= end_s and (frame := self._queue.pop()) is not None:
            self._occupy(frame)
            written = self._uart.write(text.text_of(frame))
            self.sent += written
            self.lost += not written
        if not len(self._queue):
            self._work.clear()
            self._idle.set()


class Node:
    """One node of ours on an adapter's bus, with a queue of its own. A `Bus`."""

    def __init__(self, adapter: SlcanAdapter, name: str) -> None:
        self._adapter = adapter
        self._name = name

    @property
    def link(self) -> Mapping[str, str]:
        """The agent's [battery.link] table for this bus."""
        return self._adapter.link

    async def send(self, frames: Sequence[CanFrame]) -> None:
        """Send as this node; see `SlcanAdapter.send`."""
        await self._adapter.send(frames, self._name)

    def listen(self, heard: Callable[[CanFrame], None]) -> None:
        """Have `heard` called with every frame that the gateway sends."""
        self._adapter.listen(heard)

    async def fault(self, fault: BusFault) -> None:
        """Put the whole bus into this state."""
        await self._adapter.fault(fault)
