"""The simulated air of Bluetooth LE: bumble's (google.github.io/bumble), with a reach and with connections that end.

What bumble 0.0.236 does not do and a gateway's kernel relies on: data come from the address that a connection has; an
attempt to connect that is cancelled ends; a controller that is reset forgets what it did; a connection of which nothing
is heard is over.
"""

import asyncio
import math

from bumble.controller import Connection, Controller
from bumble.core import PhysicalTransport
from bumble.hci import (
    Address,
    HCI_ErrorCode,
    HCI_LE_Connection_Complete_Event,
    HCI_LE_Create_Connection_Cancel_Command,
    HCI_Reset_Command,
    HCI_StatusReturnParameters,
    Role,
)
from bumble.link import LocalLink
from bumble.ll import AdvertisingPdu, ConnectInd, ControlPdu

SUPERVISION_S = 2.0
"""A connection is over when nothing was heard for so long; 0.1 to 32 s (Bluetooth Core 6.0 vol. 6 part B §4.5.2)."""


class AirController(Controller):
    """A controller on the air."""

    def on_hci_le_create_connection_cancel_command(
        self, _command: HCI_LE_Create_Connection_Cancel_Command
    ) -> HCI_StatusReturnParameters:
        """End the attempt, and say so as Bluetooth Core 6.0 vol. 4 part E §7.8.13 wants it."""
        pending, self.pending_le_connection = self.pending_le_connection, None
        if pending is None:
            return HCI_StatusReturnParameters(HCI_ErrorCode.COMMAND_DISALLOWED_ERROR)
        asyncio.get_running_loop().call_soon(self._cancelled, pending.peer_address)
        return HCI_StatusReturnParameters(HCI_ErrorCode.SUCCESS)

    def _cancelled(self, peer: Address) -> None:
        self.send_hci_packet(
            HCI_LE_Connection_Complete_Event(
                status=HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR,
                connection_handle=0,
                role=Role.CENTRAL,
                peer_address_type=peer.address_type,
                peer_address=peer,
                connection_interval=0,
                peripheral_latency=0,
                supervision_timeout=0,
                central_clock_accuracy=0,
            )
        )

    def on_hci_reset_command(self, _command: HCI_Reset_Command) -> HCI_StatusReturnParameters:
        """Forget connections and searches; who was connected hears no more of it."""
        self.forget()
        return HCI_StatusReturnParameters(HCI_ErrorCode.SUCCESS)

    def forget(self) -> None:
        """Be as one that was just switched on."""
        self.le_connections.clear()
        self.pending_le_connection = None
        self.le_scan_enable = False
        self.le_legacy_advertiser.stop()
        if isinstance(self.link, Air):
            self.link.supervise()


class Air(LocalLink):
    """The air of one bench. A controller that is out of reach hears nobody and is heard by nobody."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._away: dict[Controller, float] = {}

    def take_away(self, controller: Controller) -> None:
        """Put a controller out of reach; its connections end when the supervision timeout has passed."""
        self._away[controller] = asyncio.get_running_loop().time()
        self.supervise()

    def bring_back(self, controller: Controller) -> None:
        """Put it within reach again."""
        self._away.pop(controller, None)

    def remove(self, controller: Controller) -> None:
        """Take a controller off the air for good, as an adapter that is pulled out."""
        self._away.pop(controller, None)
        self.controllers.discard(controller)
        self.supervise()

    def supervise(self) -> None:
        """Look after the supervision timeout which connections are over."""
        asyncio.get_running_loop().call_later(SUPERVISION_S, self._end_dead_connections)

    def _end_dead_connections(self) -> None:
        for controller in self.controllers:
            for connection in list(controller.le_connections.values()):
                if not self._is_alive(controller, connection):
                    controller.on_le_disconnected(connection, HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR)

    def _is_alive(self, controller: Controller, connection: Connection) -> bool:
        peer = self.find_le_controller(connection.peer_address)
        if peer is None or peer.le_connections.get(connection.self_address) is None:
            return False
        long_ago_s = asyncio.get_running_loop().time() - SUPERVISION_S
        return all(self._away.get(end, math.inf) > long_ago_s for end in (controller, peer))

    def _reach(self, one: Controller, other: Controller) -> bool:
        return one not in self._away and other not in self._away

    def send_acl_data(
        self, sender_controller: Controller, destination_address: Address, transport: PhysicalTransport, data: bytes
    ) -> None:
        """Carry data to the controller at the other end of a connection.

        bumble sends them from a controller's random address. Linux connects from its public one, so what it sent would
        come from a stranger and be dropped.
        """
        le = transport == PhysicalTransport.LE
        connection = sender_controller.le_connections.get(destination_address) if le else None
        receiver = self.find_le_controller(destination_address)
        if connection is None or receiver is None or not self._reach(sender_controller, receiver):
            return
        source = connection.self_address
        asyncio.get_running_loop().call_soon(receiver.on_link_acl_data, source, transport, data)

    def send_advertising_pdu(self, sender_controller: Controller, packet: AdvertisingPdu) -> None:
        """Carry an advertisement, or the request to connect that answers one, to everybody within reach.

        Who asks to connect takes it for connected at once; where nobody has heard it, that ends by the timeout.
        """
        if sender_controller not in self.controllers:  # what was taken off the air may still have a timer
            return
        loop = asyncio.get_running_loop()
        if isinstance(packet, ConnectInd):
            self.supervise()
        for controller in self.controllers:
            if controller is not sender_controller and self._reach(sender_controller, controller):
                loop.call_soon(controller.on_ll_advertising_pdu, packet)

    def send_ll_control_pdu(self, sender_address: Address, receiver_address: Address, packet: ControlPdu) -> None:
        """Carry what two controllers tell each other; what nobody hears is lost."""
        sender, receiver = self.find_le_controller(sender_address), self.find_le_controller(receiver_address)
        if sender is None or receiver is None or not self._reach(sender, receiver):
            return
        asyncio.get_running_loop().call_soon(receiver.on_ll_control_pdu, sender_address, packet)
