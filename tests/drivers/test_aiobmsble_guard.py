"""What aiobmsble writes: each of its types is on the allow-list or not used, and nothing else leaves."""

import asyncio
import importlib
import importlib.util
import random
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.drivers.aiobmsble_library import NEEDED, QUIET, types
from tests.drivers.bleak_on_bumble import installed
from tests.drivers.bluetooth import Peripheral, Radio

from packseal.clock import SystemClock
from packseal.core.errors import ConfigError
from packseal.core.sample import LinkCounts
from packseal_drivers.ble.aiobmsble_allowlist import LISTENED, QUESTIONS, UNREAD, refusal, why_unread
from packseal_drivers.ble.protocols import full
from packseal_drivers.framing.checksums import crc16_modbus
from packseal_drivers.guard import RefusedRequest
from packseal_drivers.links.aiobmsble import AiobmsbleLink, guarded
from packseal_drivers.settings import Ble
from packseal_drivers.testing.ble_batteries import Battery, cut, jbd_answer

PAGE = Path(__file__).parents[2] / "docs" / "read-only.md"
TABLE = re.compile(r"(<!-- made: aiobmsble types -->\n).*?(<!-- end -->)", re.DOTALL)
ADDRESS = "A4:C1:38:00:00:01"
NOT_QUESTIONS = {
    "tdt_bms": {b"HiLink"},  # unlocks a module that has such a characteristic
}
"""What types that are used write besides, and what is refused."""
OFF = bytes.fromhex("DD5AE1020003FF1A77")  # switches the MOSFETs off
QUESTION = bytes.fromhex("DDA50300FFFD77")


def table() -> str:
    """Return the table of the page."""
    asked = sorted(QUESTIONS.keys() - set(LISTENED))
    rows = [
        f"| asked | {', '.join(asked)} | questions, each to the one characteristic that takes them |",
        f"| listened to | {', '.join(LISTENED)} | nothing |",
        *(f"| not used | {kind} | it {what} |" for kind, what in UNREAD.items()),
    ]
    head = ["| | type | what is written, or why it is not used |", "| --- | --- | --- |"]
    return "\n".join([*head, *rows]) + "\n"


def test_the_page_has_the_table_of_types() -> None:
    match = TABLE.search(PAGE.read_text())
    assert match is not None
    assert match[0] == match[1] + table() + match[2], "python -m tests.drivers.test_aiobmsble_guard writes it anew"


@NEEDED
def test_of_every_type_it_is_known_what_it_writes() -> None:
    assert set(types()) == QUESTIONS.keys() | UNREAD.keys()
    assert len(types()) == 52


@QUIET
@pytest.mark.parametrize("kind", types())
def test_every_type_is_loaded_or_refused_by_name(kind: str) -> None:
    if why_unread(kind):
        with pytest.raises(ConfigError, match=f"type {kind} .* packseal only reads"):
            AiobmsbleLink(Ble(address=ADDRESS, type=kind), SystemClock(), LinkCounts())
    else:
        AiobmsbleLink(Ble(address=ADDRESS, type=kind), SystemClock(), LinkCounts())


@dataclass
class Place:
    """A characteristic or service as bleak has it."""

    uuid: str
    handle: int
    properties: tuple[str, ...] = ("notify", "write", "write-without-response", "read")
    characteristics: tuple["Place", ...] = ()
    description: str = ""


class Services:
    def __init__(self, kind: Any) -> None:
        ends = [kind.uuid_rx()] + ([] if kind.__module__.rpartition(".")[2] in LISTENED else [kind.uuid_tx()])
        self._places = tuple(Place(full(uuid), number) for number, uuid in enumerate(ends, 2))
        self._services = [Place(full(uuid), 1, (), self._places) for uuid in kind.uuid_services()]

    def __iter__(self) -> Iterator[Place]:
        return iter(self._services)

    def get_service(self, _uuid: str) -> None:
        return None

    def get_characteristic(self, at: int | str) -> Place:
        known = (p for p in self._places if at == p.handle or (isinstance(at, str) and p.uuid == full(at)))
        return next(known, Place(full(str(at)), 99))


class Connection:
    """A connection to a battery whose answers are all empty: it keeps what is written."""

    is_connected = True
    address = ADDRESS

    def __init__(self, kind: Any) -> None:
        self.services = Services(kind)
        self.written: list[bytes] = []
        self.bms: Any = None

    async def start_notify(self, *_: Any, **__: Any) -> None:
        return

    stop_notify = start_notify

    async def read_gatt_char(self, *_: Any) -> bytes:
        return b"\x01"

    async def disconnect(self) -> None:
        return

    async def write_gatt_char(self, _at: Any, data: bytes, response: object = None) -> None:
        del response
        self.written.append(data)
        self.bms._msg_event.set()


@QUIET
@pytest.mark.parametrize("kind", [k for k in types() if k not in LISTENED])
def test_what_a_type_asks_is_on_the_list_and_all_else_is_refused(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from bleak.backends.device import BLEDevice  # noqa: PLC0415 - with the library

    async def go() -> None:
        base = importlib.import_module("aiobmsble.basebms").BaseBMS
        monkeypatch.setattr(base, "_RETRY_TIMEOUT", 0.01)
        monkeypatch.setattr(base, "TIMEOUT", 0.05)
        known = importlib.import_module(f"aiobmsble.bms.{kind}").BMS
        counts, tried, ends = LinkCounts(), list[bytes](), list[Exception]()
        device = BLEDevice(ADDRESS, "SmartBat-A12345", {"path": "/org/bluez/hci0/dev", "props": {}})
        bms = guarded(known, counts)(device)
        connection: Any = Connection(known)
        connection.bms = bms
        bms._client = connection
        guard = connection.write_gatt_char

        async def write_gatt_char(at: Any, data: bytes, response: object = None) -> None:
            tried.append(bytes(data))
            await guard(at, data, response)

        connection.write_gatt_char = write_gatt_char  # looks at what comes to the guard
        for step in (bms._init_connection, bms._async_update):
            try:
                await asyncio.wait_for(step(), 1)
            except Exception as error:  # noqa: BLE001 - whatever the library makes of empty answers
                ends.append(error)
        refused = [data for data in tried if data not in connection.written]
        assert tried, f"it has asked nothing, so nothing was shown: {ends}"
        if kind in UNREAD:
            assert connection.written == []
        else:
            assert set(refused) <= NOT_QUESTIONS.get(kind, set()), [data.hex(" ") for data in refused]
        assert counts.refused == len(refused)

    asyncio.run(go())


@NEEDED
@QUIET
def test_the_library_writes_nothing_else_whoever_makes_it() -> None:
    async def go() -> None:
        radio = Radio()
        await radio.start()
        battery = Battery(random.Random(1))
        peripheral = Peripheral(radio, ADDRESS, "JBD-1", "FF00", "FF01", "FF02")
        peripheral.answer = lambda question: cut(jbd_answer(battery, question[2]), 20)
        await peripheral.start()
        counts = LinkCounts()
        link: Any = AiobmsbleLink(Ble(address=ADDRESS, type="jbd_bms"), SystemClock(), counts)
        with installed(radio):
            await link.open()
            try:
                bms = link._bms
                await attempts(bms, counts, begun=0)
                await bms.disconnect()
                await bms._connect()  # the library makes a new connection by itself
                assert peripheral.connections == 2
                await attempts(bms, counts, begun=6)
                assert await link.read("aiobmsble"), "and a battery is read all the same"
            finally:
                await link.close()
        asked = {QUESTION, bytes.fromhex("DDA50400FFFC77")}
        assert set(peripheral.asked) == asked
        assert {data for _, data in radio.writes} == asked

    asyncio.run(go())


async def attempts(bms: Any, counts: LinkCounts, begun: int) -> None:
    handle = bms._client.services.get_characteristic(full("ff02"))
    descriptor = bms._client.services.get_characteristic(full("ff01")).descriptors[0]
    tries: tuple[Callable[[], Any], ...] = (
        lambda: bms._await_msg(OFF),
        lambda: bms._client.write_gatt_char("ff02", OFF),
        lambda: bms._client.write_gatt_char(handle, OFF, response=True),
        lambda: bms._client.write_gatt_char(handle.handle, bytearray(QUESTION + b"\0")),
        lambda: bms._client.write_gatt_char("ff01", QUESTION),
        lambda: bms._client.write_gatt_descriptor(descriptor, b"\x00\x00"),
    )
    for number, attempt in enumerate(tries, 1):
        with pytest.raises(RefusedRequest, match="packseal only reads"):
            await attempt()
        assert counts.refused == begun + number


@given(st.sampled_from(sorted(QUESTIONS)), st.binary(max_size=24))
def test_any_other_bytes_are_refused(kind: str, data: bytes) -> None:
    assert refusal(kind, full("ff02"), data, full("ff02")) or QUESTIONS[kind](data)
    assert refusal(kind, full("ff01"), data, full("ff02")), "and whatever goes elsewhere"


@given(
    st.sampled_from(sorted(QUESTIONS)),
    st.integers(0, 255),
    st.sampled_from([5, 6, 15, 16, 22, 23, 43, 65, 131]),
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFF),
)
def test_no_write_of_modbus_passes_for_a_read(kind: str, unit: int, function: int, address: int, value: int) -> None:
    frame = struct.pack(">BBHH", unit, function, address, value)
    frame += struct.pack("<H", crc16_modbus(frame))
    for sent in (frame, b"\xa5\xa5" + frame):
        assert refusal(kind, full("fff2"), sent, full("fff2"))


if __name__ == "__main__":
    PAGE.write_text(TABLE.sub(lambda match: match[1] + table() + match[2], PAGE.read_text()))
