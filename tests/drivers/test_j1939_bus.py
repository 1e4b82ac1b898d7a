"""J1939 on a real bus: batteries made of can-j1939 broadcast, transfer and answer on python-can's virtual bus."""

import asyncio
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, aclosing
from pathlib import Path

import can
import j1939  # type: ignore[import-untyped]  # it has no types
import pytest

from packseal.clock import SystemClock
from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import EventCode, LinkCounts, Notice, Sample
from packseal_drivers import profile
from packseal_drivers.driver import Driver
from packseal_drivers.framing.j1939 import split
from packseal_drivers.group_poller import OWN, lanes
from packseal_drivers.guard import Guard, RefusedRequest
from packseal_drivers.lines import Pgn, PgnField
from packseal_drivers.registry import open_driver
from packseal_drivers.settings import PythonCan

V, A = Channel(Quantity.PACK_VOLTAGE_V), Channel(Quantity.PACK_CURRENT_A)
SOH = Channel(Quantity.STATE_OF_HEALTH_PCT)
BATTERY, DISPLAY, HISTORY = 0xF3, 0x17, 0xFC5E
HISTORY_DATA = [233] + [0xFF] * 36
HEAD = 'name = "test/j1939"\ntitle = "T"\nsource = "test"\n[sampling]\nperiod_s = 0.1\nsilent_after_s = 60\n'
FIELD = 'field = [{ quantity = "state_of_health_pct", at = 0, factor = 0.4 }]\n'
ASKED = f'{HEAD}[[pgn]]\nname = "history"\npgn = {HISTORY}\nsource = {BATTERY}\nask_s = 1\n{FIELD}'
TO_ONE = f'{HEAD}[[pgn]]\nname = "to one node"\npgn = 0xEF00\n{FIELD}'
Said = list[Sample | Notice]


class Wire:
    def __init__(self) -> None:
        self.channel = secrets.token_hex(8)
        self.stack = ExitStack()

    def join(self) -> can.BusABC:
        bus = can.Bus(interface="virtual", channel=self.channel)
        self.stack.callback(bus.shutdown)
        return bus

    def node(self, address: int, **options: int) -> j1939.ControllerApplication:
        ecu = j1939.ElectronicControlUnit(**options)
        ecu.connect(interface="virtual", channel=self.channel)
        self.stack.callback(ecu.disconnect)
        self.stack.callback(ecu.stop)
        name = j1939.Name(identity_number=address)
        application = j1939.ControllerApplication(name, address, bypass_address_claim=True)
        ecu.add_ca(controller_application=application)
        application.start()
        return application

    def driver(self, file: profile.ProfileFile) -> Driver:
        settings = PythonCan("virtual", self.channel)
        return open_driver(settings, file, directory=Path(), cache=None, clock=SystemClock())


@pytest.fixture
def wire() -> Iterator[Wire]:
    made = Wire()
    with made.stack:
        yield made


def written(tmp_path: Path, text: str) -> profile.ProfileFile:
    (tmp_path / "p.toml").write_text(text)
    return profile.load("p.toml", tmp_path)


def heard(driver: Driver, until: Callable[[Said], object], opened: Callable[[], object] = lambda: None) -> Said:
    """Return what the driver says until `until` is content with it; `opened` is called when it listens."""

    async def run() -> Said:
        said: Said = []

        async def listen() -> None:
            async with aclosing(driver.batches()) as batches:
                async for batch in batches:
                    said.extend(batch)
                    if until(said):
                        return

        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            group.create_task(listen())
            await asyncio.sleep(0.1)
            opened()
        return said

    return asyncio.run(run())


def values(said: Said, channel: Channel) -> list[float]:
    return [s.values[channel] for s in said if isinstance(s, Sample) and channel in s.values]


def test_single_frames_and_a_broadcast_of_can_j1939(wire: Wire) -> None:
    battery, others = wire.node(BATTERY), wire.join()
    driver = wire.driver(profile.load("j1939/hv_battery"))
    sent = [0xFF] * 4 + [0xC8, 0x32, 0x96, 0x73]  # 650 V, -120.5 A

    def say() -> None:
        battery.send_pgn(0, 0xFC, 0x5E, 7, HISTORY_DATA)
        battery.send_pgn(0, 0xF0, 0x90, 3, sent)

    said = heard(driver, lambda s: values(s, SOH) and values(s, V), say)
    assert values(said, V)[0] == pytest.approx(650.0)
    assert values(said, A)[0] == pytest.approx(-120.5)
    assert values(said, SOH)[0] == pytest.approx(93.2)
    assert driver.counts.cut == driver.counts.requests == 0
    sources = {split(m.arbitration_id).source for m in iter(lambda: others.recv(0), None)}
    assert sources == {BATTERY}, "someone who only listens has spoken"


@pytest.mark.parametrize("packets", [1, 255])
def test_a_transfer_with_rts_and_cts_between_two_nodes_is_overheard(wire: Wire, tmp_path: Path, packets: int) -> None:
    battery, _ = wire.node(BATTERY), wire.node(DISPLAY, max_cmdt_packets=packets)
    driver = wire.driver(written(tmp_path, TO_ONE))
    said = heard(driver, lambda s: values(s, SOH), lambda: battery.send_pgn(0, 0xEF, DISPLAY, 6, HISTORY_DATA))
    assert values(said, SOH) == [pytest.approx(93.2)]
    assert driver.counts.cut == 0


def test_what_is_sent_on_request_only_is_asked_for(wire: Wire, tmp_path: Path) -> None:
    battery = wire.node(BATTERY)
    asked: list[tuple[int, int, int]] = []

    def answer(source: int, destination: int, pgn: int) -> None:
        asked.append((source, destination, pgn))
        battery.send_pgn(0, 0xFC, 0x5E, 7, HISTORY_DATA)

    battery.subscribe_request(answer)
    driver = wire.driver(written(tmp_path, ASKED))
    said = heard(driver, lambda s: len(values(s, SOH)) > 1)
    assert values(said, SOH)[0] == pytest.approx(93.2)
    assert set(asked) == {(OWN, BATTERY, HISTORY)}
    assert driver.counts.answers >= 2
    assert driver.counts.refused == driver.counts.unanswered == 0


class HandMade(threading.Thread):
    """A node that answers a request by RTS to whoever asked, as the standard has it; or sends RTS unasked."""

    def __init__(self, bus: can.BusABC) -> None:
        super().__init__(daemon=True)
        self._bus = bus
        self._end = threading.Event()
        self.told: list[bytes] = []

    def send(self, pdu_format: int, data: bytes) -> None:
        identifier = 0x1C00_0000 | pdu_format << 16 | OWN << 8 | BATTERY
        self._bus.send(can.Message(arbitration_id=identifier, data=data, is_extended_id=True))

    def request_to_send(self) -> None:
        self.send(0xEC, bytes((16, 37, 0, 6, 4)) + HISTORY.to_bytes(3, "little"))

    def run(self) -> None:
        payload = bytes(HISTORY_DATA).ljust(42, b"\xff")
        while not self._end.is_set():
            message = self._bus.recv(0.05)
            if message is None or split(message.arbitration_id).source != OWN:
                continue
            if split(message.arbitration_id).pgn == 0xEA00:
                self.request_to_send()
                continue
            data = bytes(message.data)
            self.told.append(data)
            for n in range(data[2], data[2] + data[1]) if data[0] == 17 else ():
                self.send(0xEB, bytes((n,)) + payload[7 * n - 7 : 7 * n])

    def stop(self) -> None:
        self._end.set()
        self.join()


def test_a_transfer_to_us_is_let_through_in_parts_and_acknowledged(wire: Wire, tmp_path: Path) -> None:
    node = HandMade(wire.join())
    node.start()
    wire.stack.callback(node.stop)
    driver = wire.driver(written(tmp_path, ASKED))
    said = heard(driver, lambda s: values(s, SOH) and len(node.told) >= 3)
    assert values(said, SOH)[0] == pytest.approx(93.2)
    pgn = HISTORY.to_bytes(3, "little")
    parts = [bytes((17, 4, 1, 255, 255)) + pgn, bytes((17, 2, 5, 255, 255)) + pgn]
    assert node.told[:3] == [*parts, bytes((19, 37, 0, 6, 255)) + pgn]


def test_a_transfer_that_nobody_asked_for_is_not_answered(wire: Wire, tmp_path: Path) -> None:
    node = HandMade(wire.join())
    node.start()
    wire.stack.callback(node.stop)
    driver = wire.driver(written(tmp_path, ASKED))

    def of_another() -> None:
        identifier = 0x1CEC_0000 | OWN << 8 | DISPLAY
        data = bytes((16, 37, 0, 6, 4)) + HISTORY.to_bytes(3, "little")
        wire.join().send(can.Message(arbitration_id=identifier, data=data, is_extended_id=True))

    others = wire.join()
    said = heard(driver, lambda s: values(s, SOH) and driver.counts.unexpected, of_another)
    assert values(said, SOH)
    assert driver.counts.unexpected >= 1
    spoken = [split(m.arbitration_id) for m in iter(lambda: others.recv(0), None)]
    assert {i.destination for i in spoken if i.source == OWN} == {BATTERY}


def test_who_has_our_address_silences_us(wire: Wire, tmp_path: Path) -> None:
    far = wire.join()
    driver = wire.driver(written(tmp_path, ASKED))
    identifier = 0x18FC_5E00 | OWN

    def speak() -> None:
        far.send(can.Message(arbitration_id=identifier, data=bytes(8), is_extended_id=True))

    said = heard(driver, lambda s: [n for n in s if isinstance(n, Notice)], speak)
    assert EventCode.ADDRESS_CLASH in [n.code for n in said if isinstance(n, Notice)]


def test_what_would_change_something_is_refused() -> None:
    counts = LinkCounts()
    field = PgnField(quantity="state_of_health_pct", at=0)
    guard = Guard(lanes([Pgn(name="h", pgn=HISTORY, ask_s=1.0, field=(field,))]), counts)
    for pgn in (0xFECC, 0xFED3, 0xEF00, 0xEC00):
        with pytest.raises(RefusedRequest):
            guard.permit_pgn_request(OWN, 0xFF, pgn)
        with pytest.raises(ValueError, match="pgn"):
            Pgn(name="h", pgn=pgn, ask_s=1.0, field=(field,))
    assert counts.refused == 4
