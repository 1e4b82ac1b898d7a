"""A search for batteries agrees with aiobmsble on the advertisements that it recorded."""

import asyncio
import importlib
import importlib.util

from tests.drivers.aiobmsble_library import NEEDED, QUIET, recorded

from packseal_drivers import profile
from packseal_drivers.ble.aiobmsble_allowlist import why_unread
from packseal_drivers.ble.probing import OWN, described, guess

NO_ADDRESS = "00:00:00:00:00:00"
"""For a recording that keeps it to itself: the library knows some batteries by the beginning of theirs."""


@NEEDED
@QUIET
def test_a_search_agrees_with_the_library_on_its_recorded_advertisements() -> None:
    known = [profile.load(name).profile for name in profile.names()]

    async def go() -> tuple[int, int]:
        named = 0
        for said, address, kind, _ in recorded():
            device = await described(said, address or NO_ADDRESS)
            guesses = guess(device, known)
            assert device.library_type == (None if why_unread(kind) else kind), said
            by_name = {g.profile for g in guesses if g.by == "name"}
            assert by_name <= set(OWN.get(kind, ())), (kind, said.local_name, by_name)
            named += bool(by_name)
            if not why_unread(kind):
                sure = {g.profile for g in guesses if g.by != "service"}
                assert sure == set(OWN.get(kind, ["aiobmsble/any"])), (kind, said.local_name)
        return len(recorded()), named

    count, named = asyncio.run(go())
    assert count > 150, count
    assert named >= 10, named


@NEEDED
@QUIET
def test_what_the_library_takes_for_no_battery_is_none_here() -> None:
    known = [profile.load(name).profile for name in profile.names()]

    async def go() -> None:
        for said, address, reason, _ in importlib.import_module("aiobmsble.test_data").ignore_advertisements():
            device = await described(said, address or NO_ADDRESS)
            assert device.library_type is None, reason
            assert not [g for g in guess(device, known) if g.by != "service"], reason

    asyncio.run(go())
