"""Broker: what an MQTT 5 broker says: its limits when it accepts us, its reasons when it does not."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from packseal.core.errors import UplinkError

FAILURE = 0x80
TAKEN_OVER = 0x8E
NO_MATCHING_SUBSCRIBERS = 0x10  # PUBACK reason code, §3.4.2.1
REASONS = {
    0x82: "what we send is no MQTT to it (protocol error)",
    0x84: "it does not speak MQTT 5",
    0x85: "it does not take this gateway's client identifier",
    0x86: "wrong username or password: check username and password_file",
    0x87: "this gateway is not authorised: check its certificate or username, and the broker's access rules",
    0x88: "it is not available now",
    0x89: "it is busy",
    0x8A: "it has banned this gateway: ask its operator",
    0x8B: "it is shutting down",
    0x8C: "it does not take this way of proving who we are",
    0x8D: "it heard nothing of us for too long",
    TAKEN_OVER: "another client with the same identifier took over: is a second device using this gateway's key?",
    0x90: "it does not allow the topic: check its access rules",
    0x93: "more was under way than it allows",
    0x95: "a message is larger than it takes",
    0x96: "too many messages at once",
    0x97: "a quota is used up: ask its operator",
    0x98: "its operator has ended the connection",
    0x99: "the message is not of a form that it takes",
    0x9B: "it does not keep messages until they are acknowledged (QoS 1)",
    0x9C: "it asks to use another server",
    0x9D: "it has moved to another server",
    0x9F: "connections come too fast for it",
    0xA0: "the longest time of a connection is over",
}
"""MQTT 5 §2.4, with what there is to do."""
ELSEWHERE = frozenset({0x9C, 0x9D})


def said(code: int, properties: Any) -> str:
    """Return a reason code in words, with what the broker adds: its own text, and where else to go (§4.13)."""
    words = REASONS.get(code, f"reason code 0x{code:02X}")
    if code in ELSEWHERE and (server := getattr(properties, "ServerReference", "")):
        words += f", {_shown(server)}: set host, if its operator confirms it"
    if text := getattr(properties, "ReasonString", ""):
        words += f' ("{_shown(text)}")'
    return words


def _shown(text: str) -> str:
    """Return what a stranger wrote as something that may go to a terminal."""
    return "".join(c if c.isprintable() else " " for c in text[:120])


@dataclass(frozen=True, slots=True)
class Limits:
    """What a CONNACK sets (§3.2.2.3); None: no limit. The client library obeys the server's keep-alive by itself."""

    packet_bytes: int | None = None
    receive_maximum: int | None = None
    quality: int = 1

    @classmethod
    def of(cls, properties: Any) -> "Limits":
        """Return what is in the properties of a CONNACK."""
        return cls(
            getattr(properties, "MaximumPacketSize", None),
            getattr(properties, "ReceiveMaximum", None),
            getattr(properties, "MaximumQoS", 1),
        )

    def check(self) -> None:
        """Raise UplinkError where the broker cannot carry the exchange."""
        if self.quality < 1:
            raise UplinkError("it takes no messages of QoS 1: set that up at the broker")


class Listener:
    """Puts itself between the MQTT client and what it does with a broker's reasons, of which it passes on too little.

    Args:
        paho: the client library's client, before it connects.
        refused: is told of a message that the broker did not take, or has no sink for.
    """

    def __init__(self, paho: Any, refused: Callable[[str], None]) -> None:
        self.limits = Limits()
        self.reason = ""
        """Why the broker refused or ended the connection; "" as long as it has not."""
        self.is_taken = False
        """Whether it said that it ended it for another client of the same identifier."""
        self.is_cut = False
        """Whether the connection ended without a word."""
        self._refused = refused
        self._on_connect, self._on_disconnect, self._on_publish = paho.on_connect, paho.on_disconnect, paho.on_publish
        paho.on_connect, paho.on_disconnect, paho.on_publish = self._connected, self._disconnected, self._acknowledged

    def _connected(self, client: Any, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        if reason.value >= FAILURE:
            self.reason = said(reason.value, properties)
        else:
            self.limits = Limits.of(properties)
        self._on_connect(client, data, flags, reason, properties)

    def _disconnected(self, client: Any, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        if flags.is_disconnect_packet_from_server:
            self.reason = said(reason.value, properties)
            self.is_taken = reason.value == TAKEN_OVER
        else:
            self.is_cut = reason.is_failure
        self._on_disconnect(client, data, flags, reason, properties)

    def _acknowledged(self, client: Any, data: Any, number: int, reason: Any, properties: Any) -> None:
        if reason.value == NO_MATCHING_SUBSCRIBERS:
            self._refused("no sink is connected to it")
        elif reason.is_failure:
            self._refused(f"it refuses what is sent: {said(reason.value, properties)}")
        self._on_publish(client, data, number, reason, properties)
