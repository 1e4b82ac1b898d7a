"""The simulated battery speaks through its faces, and the product hears what its BMS has said."""

import pytest
from tests.hil.faces.reading import Conversation, face_of, fields_of, heard, range_of, step_of

from packseal.core.quantities import Channel, Quantity
from packseal_hil.battery import BatterySpec, open_battery
from packseal_hil.faces import UdsFace

CURRENT = Channel(Quantity.PACK_CURRENT_A)


NAMES = ("packseal/reference96", "nissan/leaf_ze0", "tesla/model3", "j1939/hv_battery")


def test_what_its_bms_says_is_heard_with_both_signs() -> None:
    battery = open_battery(BatterySpec(load="frequency_containment"), seed=3)
    signs = set()
    for moment in range(40):
        battery.advance(20)
        words = battery.said()
        name = NAMES[moment % len(NAMES)]
        fields = fields_of(name)
        said, _ = heard(name, face_of(name).round(words))
        signs.add((name, said[CURRENT] > 0))
        for channel in said:
            low, high = range_of(fields[channel])
            if channel in words and low <= words[channel] <= high:
                tolerance = step_of(fields[channel]) * (0.501 + bool(fields[channel].sentinels))
                assert said[channel] == pytest.approx(words[channel], abs=tolerance), channel
    assert signs == {(name, positive) for name in NAMES for positive in (True, False)}


def test_what_it_does_not_say_is_never_heard() -> None:
    battery = open_battery(BatterySpec(), seed=3)
    for name in ("packseal/reference96", "victron/can_bms", "foxbms/foxbms2", "tesla/model3"):
        said, _ = heard(name, face_of(name).round(battery.said()))
        assert set(said) <= set(battery.said()), name


def test_it_answers_when_it_is_asked() -> None:
    battery, face = open_battery(BatterySpec(), seed=3), UdsFace("hyundai/kona_uds")
    battery.advance(600)
    face.says(battery.said())
    talk = Conversation("hyundai/kona_uds", face)
    talk.run(3)
    assert talk.said[CURRENT] == pytest.approx(battery.said()[CURRENT], abs=0.051)
    assert talk.said[Channel(Quantity.CELL_VOLTAGE_V, 95)] == pytest.approx(
        battery.said()[Channel(Quantity.CELL_VOLTAGE_V, 95)], abs=0.0101
    )
