"""The product asks the faces of every shipped profile that is asked, with its own poller and its own framing."""

import time
from pathlib import Path

import isotp
import pytest
from tests.hil.faces.reading import ASKED, Conversation, Said, fields_of, step_of, values_at

from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import EventCode, Flaw
from packseal_hil.faces import Conduct, Manner, UdsFace
from packseal_hil.faces.isotp import IsoTpSender
from packseal_hil.rig.protocols import CanFrame

KONA, MEB = "hyundai/kona_uds", "vw/meb"
CURRENT = Channel(Quantity.PACK_CURRENT_A)
VOLTAGE = Channel(Quantity.PACK_VOLTAGE_V)
TO, ANSWER = 0x7E4, 0x7EC


def asked(name: str, values: Said, seconds: float, conduct: Conduct | None = None) -> Conversation:
    face = UdsFace(name, conduct)
    face.says(values)
    talk = Conversation(name, face)
    talk.run(seconds)
    return talk


@pytest.mark.parametrize("name", ASKED)
@pytest.mark.parametrize("part", [0.12, 0.77])
def test_what_is_asked_is_answered_and_read(name: str, part: float) -> None:
    fields, values = fields_of(name), values_at(name, part)
    requests = len(UdsFace(name).profile.request)
    talk = asked(name, values, 2 + requests / 15)  # twenty a second
    assert set(talk.said) == set(fields)
    for channel, value in talk.said.items():
        tolerance = step_of(fields[channel]) * (0.501 + bool(fields[channel].sentinels))
        assert value == pytest.approx(values[channel], abs=tolerance), channel
    counts = talk.counts
    assert (counts.unexpected, counts.cut, counts.negative, counts.unanswered) == (0, 0, 0, 0)


@pytest.mark.parametrize("name", [n for n in ASKED if CURRENT in fields_of(n)])
def test_the_sign_of_the_current(name: str) -> None:
    for current_a in (-123.4, 56.7):
        request = next(i for i, r in enumerate(UdsFace(name).profile.request) if _says_current(name, i))
        talk = asked(name, {**values_at(name, 0.4), CURRENT: current_a}, 1 + request / 15)
        assert talk.said[CURRENT] == pytest.approx(current_a, abs=0.51 * step_of(fields_of(name)[CURRENT]))


def _says_current(name: str, request: int) -> bool:
    return any(f.quantity == "pack_current_a" for f in UdsFace(name).profile.request[request].field)


def test_what_the_battery_does_not_know_is_declined_or_not_available() -> None:
    known = {c: v for c, v in values_at(KONA, 0.5).items() if c.quantity is not Quantity.CELL_VOLTAGE_V or c.index < 30}
    talk = asked(KONA, known, 3)
    cells = {c.index for c in talk.said if c.quantity is Quantity.CELL_VOLTAGE_V}
    assert cells == set(range(30))
    assert talk.flaws[Channel(Quantity.CELL_VOLTAGE_V, 31)] in (Flaw.NOT_AVAILABLE, Flaw.OUT_OF_RANGE)
    assert talk.counts.negative >= 1  # a whole request of cells that are not there
    assert set(talk.counts.declined) == {0x31}


def test_the_battery_is_known_by_what_its_answers_hold() -> None:
    talk = asked(KONA, values_at(KONA, 0.5), 2)
    identify = talk.face.profile.identify
    assert identify is not None
    for content in identify.content:
        assert any(content.is_in(f.data) for f in talk.sent if f.address == content.id)


def test_a_control_unit_that_declines() -> None:
    talk = asked(KONA, values_at(KONA, 0.5), 2, Conduct(refusal=0x22))
    assert not talk.said
    assert set(talk.counts.declined) == {0x22}
    one = asked(KONA, values_at(KONA, 0.5), 2, Conduct(refusals={b"\x22\x01\x01": 0x31}))
    assert CURRENT not in one.said
    assert Channel(Quantity.CELL_VOLTAGE_V, 3) in one.said


def test_a_control_unit_that_asks_for_patience() -> None:
    talk = asked(KONA, values_at(KONA, 0.5), 3, Conduct(pending=3, pending_apart_s=0.4))
    assert CURRENT in talk.said
    assert talk.counts.unanswered == 0


def test_silence_is_told_and_its_end_as_well() -> None:
    face = UdsFace(KONA, Conduct(manner=Manner.SILENT))
    face.says(values_at(KONA, 0.5))
    talk = Conversation(KONA, face)
    talk.run(30)
    assert not talk.sent
    assert [n.code for n in talk.notices] == [EventCode.ECU_SILENT]
    face.conduct.manner = Manner.ANSWERS
    talk.run(90)
    assert [n.code for n in talk.notices] == [EventCode.ECU_SILENT, EventCode.ECU_ANSWERS]
    assert CURRENT in talk.said


def test_a_sleeping_control_unit_is_woken_by_asking() -> None:
    conduct = Conduct(manner=Manner.ASLEEP, wake_s=0.5)
    talk = asked(KONA, values_at(KONA, 0.5), 5, conduct)
    assert talk.counts.unanswered >= 1
    assert CURRENT in talk.said


def ask(face: UdsFace, payload: str, to: int = TO, at_s: float = 1.0) -> list[str]:
    data = bytes.fromhex(payload)
    return [f.data.hex() for f in face.hear(CanFrame(to, bytes((len(data),)) + data), at_s)]


def test_other_services() -> None:
    face = UdsFace(KONA)
    face.says(values_at(KONA, 0.5))
    assert ask(face, "3E 00") == ["027e00aaaaaaaaaa"]
    assert ask(face, "3E 80") == []
    assert ask(face, "10 03") == ["037f1011aaaaaaaa"]
    assert ask(face, "22 F1 90") == ["037f2231aaaaaaaa"]
    assert ask(face, "22 F1") == ["037f2213aaaaaaaa"]
    assert ask(face, "19 02 FF") == ["035902ffaaaaaaaa"]
    assert ask(face, "22 F1 90", to=0x7DF) == []  # not one of this profile's addresses
    assert face.asked[-1] == b"\x19\x02\xff"


def test_obd_tells_what_it_supports_and_keeps_silent_on_the_rest() -> None:
    face = UdsFace("generic/obd2")
    face.says(values_at("generic/obd2", 0.5))
    assert ask(face, "01 00", to=0x7E0) == ["06410000000001aa"]  # more follows from 0x20 on
    assert ask(face, "01 40", to=0x7E0) == ["06414000000021aa"]  # 0x5B, and more
    assert ask(face, "01 0C", to=0x7E0) == []


class Peer:
    """can-isotp, asking a face, over nothing at all."""

    def __init__(self, face: UdsFace, blocksize: int, stmin: int) -> None:
        self.face = face
        self.frames: list[CanFrame] = []
        self.times: list[float] = []
        address = isotp.Address(isotp.AddressingMode.Normal_11bits, txid=TO, rxid=ANSWER)
        params = {"blocksize": blocksize, "stmin": stmin, "tx_padding": 0}
        self.layer = isotp.TransportLayerLogic(self.receive, self.transmit, address, params=params)

    def receive(self, timeout: float) -> isotp.CanMessage | None:
        del timeout
        self.frames += self.face.tick(time.monotonic())
        if not self.frames:
            return None
        frame = self.frames.pop(0)
        if frame.data[0] >> 4 == 2:
            self.times.append(time.monotonic())
        return isotp.CanMessage(arbitration_id=frame.address, data=bytes(frame.data))

    def transmit(self, message: isotp.CanMessage) -> None:
        self.frames += self.face.hear(CanFrame(message.arbitration_id, bytes(message.data)), time.monotonic())

    def ask(self, payload: bytes) -> bytes:
        self.layer.send(payload)
        end_s = time.monotonic() + 20
        while (answer := self.layer.recv()) is None and time.monotonic() < end_s:
            self.layer.process()
            time.sleep(0.001)
        return bytes(answer or b"")


@pytest.mark.parametrize(("blocksize", "stmin"), [(0, 0), (1, 0), (3, 5), (8, 0xF1)])
def test_can_isotp_gets_the_same_message(blocksize: int, stmin: int) -> None:
    face = UdsFace(KONA)
    face.says(values_at(KONA, 0.6))
    tester = Peer(face, blocksize, stmin)
    answer = tester.ask(b"\x22\x01\x01")
    length = max(f.at + f.length * f.count for f in face.profile.request[0].field)
    assert answer[:3] == b"\x62\x01\x01"
    assert len(answer) == length
    if stmin == 5:
        gaps = [b - a for a, b in zip(tester.times, tester.times[1:], strict=False)]
        assert min(g for i, g in enumerate(gaps) if (i + 1) % blocksize) >= 0.005  # a new block may begin at once


def test_a_tester_that_falls_silent_costs_one_transfer() -> None:
    sender = IsoTpSender()
    first = sender.begin(bytes(range(200)), 1.0)
    assert first.hex() == "10c8" + bytes(range(6)).hex()
    assert sender.due(1.9) == []
    assert sender.busy
    assert sender.due(2.1) == []
    assert (sender.busy, sender.given_up) == (False, 1)
    sender.begin(bytes(20), 3.0)
    sender.flow(b"\x31\x00\x00", 3.9)  # wait
    assert sender.due(4.5) == []
    assert sender.busy
    sender.flow(b"\x32\x00\x00", 4.6)  # overflow
    assert sender.given_up == 2
    with pytest.raises(ValueError, match="4095"):
        sender.begin(bytes(4096), 5.0)


def test_a_block_ends_where_the_tester_says() -> None:
    sender = IsoTpSender()
    sender.begin(bytes(60), 1.0)
    sender.flow(b"\x30\x03\x00", 1.0)
    assert [d[0] for d in sender.due(1.0)] == [0x21, 0x22, 0x23]
    assert sender.due(1.5) == []
    sender.flow(b"\x30\x00\x00", 1.6)
    assert [d[0] for d in sender.due(1.6)] == [0x24, 0x25, 0x26, 0x27, 0x28]
    assert not sender.busy


def test_an_object_longer_than_a_frame_comes_in_segments(tmp_path: Path) -> None:
    (tmp_path / "long.toml").write_text(
        'name = "t/long"\ntitle = "t"\nsource = "t"\n[[request]]\nname = "cells"\nprotocol = "sdo"\nnode = 5\n'
        'index = 0x2100\nperiod_s = 1\nfield = [{ quantity = "cell_voltage_v", at = 4, length = 2, order = "little", '
        "count = 12, factor = 0.001 }]\n"
    )
    name = str(tmp_path / "long.toml")
    values = {Channel(Quantity.CELL_VOLTAGE_V, i): 3.1 + i / 100 for i in range(12)}
    talk = asked(name, values, 2)
    assert talk.said == {c: pytest.approx(v, abs=0.0006) for c, v in values.items()}
    assert talk.counts.cut == 0
