"""AdapterBus: a CAN bus held by this machine's own adapter, through python-can."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from packseal_hil.rig.acts import Acts
from packseal_hil.rig.protocols import BusFault, CanFrame, RigError
from packseal_hil.rig.settings import BusTable

if TYPE_CHECKING:
    import can

EXTENDED = 0x8000_0000


class AdapterBus:
    """A `Bus`: this machine's CAN adapter, through python-can."""

    def __init__(self, table: BusTable | None, acts: Acts) -> None:
        self._table = table
        self._acts = acts
        self._heard: Callable[[CanFrame], None] | None = None
        self._adapter: can.BusABC | None = None
        self._notifier: can.Notifier | None = None

    @property
    def link(self) -> Mapping[str, str]:
        """The agent's [battery.link] table."""
        return {} if self._table is None else self._table.link

    async def open(self) -> None:
        """Open the adapter; raises RigError."""
        if self._table is None:
            return
        import can  # noqa: PLC0415 - only a bench that has a bus needs it

        options: dict[str, Any] = self._table.options
        try:
            self._adapter = can.Bus(interface=self._table.interface, channel=self._table.channel, **options)
        except (can.CanError, OSError, ValueError, ImportError) as error:
            raise RigError(f"CAN adapter {self._table.interface} {self._table.channel}: {error}") from error
        self._notifier = can.Notifier(self._adapter, [self._hear], timeout=0.1, loop=asyncio.get_running_loop())

    async def close(self) -> None:
        """Close it."""
        if self._notifier is not None:
            await asyncio.to_thread(self._notifier.stop)
        if self._adapter is not None:
            self._adapter.shutdown()
        self._notifier = self._adapter = None

    async def send(self, frames: Sequence[CanFrame]) -> None:
        """Send; what the adapter does not take is lost, as on a bus."""
        import can  # noqa: PLC0415

        if self._adapter is None:
            raise RigError("this bench.toml has no [bus]")
        for address, data in frames:
            extended = bool(address & EXTENDED)
            message = can.Message(arbitration_id=address & ~EXTENDED, data=data, is_extended_id=extended)
            try:
                self._adapter.send(message, timeout=0)
            except can.CanError:
                return

    def listen(self, heard: Callable[[CanFrame], None]) -> None:
        """Have `heard` called with every frame of the gateway's."""
        self._heard = heard

    async def fault(self, fault: BusFault) -> None:
        """Do what the file says for this state."""
        acts = {} if self._table is None else self._table.fault
        if fault is BusFault.NONE and not acts:
            return
        await self._acts.do(f"bring the bus to `{fault}`", acts.get(fault.value))

    def _hear(self, message: "can.Message") -> None:
        if self._heard is not None and not message.is_error_frame:
            self._heard(CanFrame(message.arbitration_id | EXTENDED * message.is_extended_id, bytes(message.data)))
