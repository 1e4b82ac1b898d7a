"""What a simulated battery says over Bluetooth, taken apart by the product's own framers."""

import struct

import pytest
from tests.hil.faces.packs import SlowPack

from packseal.core.quantities import Channel, Quantity
from packseal_drivers.ble.protocols import PROTOCOLS
from packseal_drivers.framing import battery_service, daly, jbd, jk02
from packseal_drivers.framing.burst import Notification
from packseal_hil.faces.ble_frames import Frames, Values
from packseal_hil.rig.protocols import RigError

STEP_NS = 10_000_000
QUESTIONS = {"jbd": jbd.QUESTIONS, "daly": daly.QUESTIONS, "jk02_24s": jk02.QUESTIONS, "jk02_32s": jk02.QUESTIONS}
ORDER = {"jbd": ">", "daly": ">", "jk02_24s": "<", "jk02_32s": "<"}


def said(cells: int = 16) -> dict[Channel, float]:
    pack = SlowPack(cells)
    pack.advance(20)
    return dict(pack.said()) | {Channel(Quantity.CYCLES): 41.7, Channel(Quantity.ENERGY_REMAINING_KWH): 2.5}


def parts(protocol: str, frames: Frames) -> dict[str, bytes]:
    """Ask everything; return the parts of all readings."""
    framer, found, now_ns = PROTOCOLS[protocol].framer(), dict[str, bytes](), 0
    framer.begin()
    for question in QUESTIONS[protocol]:
        framer.asked(question)
        for piece in frames.answer(question):
            assert len(piece) <= 20
            now_ns += STEP_NS
            reading = framer.feed(Notification("", piece, now_ns))
            if reading is not None:
                assert not reading.doubtful
                found |= dict(reading.parts)
        now_ns += 10**9
    assert framer.cut == 0
    return found


@pytest.mark.parametrize("protocol", QUESTIONS)
def test_the_framer_finds_what_the_bms_says(protocol: str) -> None:
    values = said()
    found = parts(protocol, Frames(protocol, values))
    cells = struct.unpack(f"{ORDER[protocol]}16H", found["cells"])
    for index, millivolts in enumerate(cells):
        assert millivolts / 1000 == pytest.approx(values[Channel(Quantity.CELL_VOLTAGE_V, index)], abs=0.0006)


def test_what_is_stated_is_what_the_sensors_say_and_no_sum_of_ours() -> None:
    values = said() | {Channel(Quantity.PACK_VOLTAGE_V): 58.31, Channel(Quantity.STATE_OF_CHARGE_PCT): 61.6}
    status = parts("jbd", Frames("jbd", values))["status"]
    assert struct.unpack_from(">H", status)[0] == 5831
    assert status[19] == 62
    (current,) = struct.unpack_from(">h", status, 2)
    assert current / 100 == pytest.approx(values[Channel(Quantity.PACK_CURRENT_A)], abs=0.006)


def test_a_silent_sensors_last_value_stays() -> None:
    frames = Frames("jbd", said())
    before = parts("jbd", frames)
    silent: Values = {c: v for c, v in said().items() if c.quantity is Quantity.STATE_OF_CHARGE_PCT}
    frames.says(silent)
    assert parts("jbd", frames) == before


@pytest.mark.parametrize(("protocol", "most"), [("jbd", 32), ("daly", 32), ("jk02_24s", 24), ("jk02_32s", 32)])
def test_a_battery_of_more_cells_than_places_is_refused(protocol: str, most: int) -> None:
    assert parts(protocol, Frames(protocol, said(most)))["cells"]
    with pytest.raises(RigError, match=f"1 to {most} cells, and this battery has {most + 1}"):
        Frames(protocol, said(most + 1))


def test_the_battery_service_has_what_its_flags_promise() -> None:
    values = said()
    frames = Frames("battery_service", values)
    fields = {u: battery_service.split(u, frames.value(u)) for u in ("2a19", "2bea", "2bec", "2bf0")}
    assert fields["2a19"] == {"battery_level": bytes((round(values[Channel(Quantity.STATE_OF_CHARGE_PCT)]),))}
    assert fields["2bea"] is not None
    assert struct.unpack("<H", fields["2bea"]["cycle_count"])[0] == 41
    assert fields["2bea"]["temperature"] == bytes((25,))
    assert set(fields["2bf0"] or ()) == {"present_voltage", "available_energy", "available_capacity", "charge_rate"}
    assert (fields["2bec"] or {})["chemistry"] == bytes((5,))
    assert frames.value("2bef") == b""


@pytest.mark.parametrize("protocol", [*QUESTIONS, "battery_service"])
def test_what_is_no_question_is_not_answered(protocol: str) -> None:
    assert Frames(protocol, said()).answer(b"") == [] or protocol == "daly"
