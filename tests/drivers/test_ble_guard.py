"""Nothing but a protocol's questions is written over Bluetooth, whoever tries and however."""

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.drivers.ble_attempts import ATTEMPTS, PAGE, TABLE, Attempt, reason_of, table
from tests.drivers.bleak_on_bumble import installed
from tests.drivers.bluetooth import Peripheral, Radio

from packseal.clock import SystemClock
from packseal.core.sample import LinkCounts
from packseal_drivers.ble.allowlist import WRITES, refusal
from packseal_drivers.ble.guard import BleGuard, PermittedWrite
from packseal_drivers.ble.protocols import PROTOCOLS, full
from packseal_drivers.guard import RefusedRequest
from packseal_drivers.links.ble import BleLink
from packseal_drivers.settings import Ble
from packseal_drivers.testing.ble_batteries import Battery, cut, jbd_answer

ASK_AT = full("ff02")
QUESTION = PROTOCOLS["jbd"].questions[0]


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda attempt: attempt.title)
def test_what_is_no_question_is_refused(attempt: Attempt) -> None:
    assert reason_of(attempt)


def test_the_page_has_the_table_of_what_was_tried() -> None:
    match = TABLE.search(PAGE.read_text())
    assert match is not None
    assert match[0] == match[1] + table() + match[2], "python -m tests.drivers.ble_attempts writes it anew"


def test_what_is_allowed_is_what_the_protocols_ask_and_nothing_else() -> None:
    for name, protocol in PROTOCOLS.items():
        asked = frozenset((protocol.write, question) for question in protocol.questions)
        assert WRITES.get(name, frozenset()) == asked


@given(
    st.sampled_from(sorted(PROTOCOLS)),
    st.sampled_from(["ff01", "ff02", "fff2", "ffe1", "2a19"]),
    st.binary(max_size=24),
)
def test_any_other_bytes_are_refused(name: str, uuid: str, data: bytes) -> None:
    assert refusal(name, full(uuid), data) is not None or (full(uuid), data) in WRITES[name]


@given(st.sampled_from(sorted(WRITES)), st.integers(0, 19), st.integers(1, 255))
def test_a_question_with_one_bit_changed_is_refused(name: str, at: int, change: int) -> None:
    for uuid, question in WRITES[name]:
        changed = bytearray(question)
        changed[at % len(changed)] ^= change
        assert refusal(name, uuid, bytes(changed)) is not None or (uuid, bytes(changed)) in WRITES[name]


def test_permissions_cannot_be_forged_or_changed() -> None:
    counts = LinkCounts()
    guard, other = BleGuard("jbd", counts), BleGuard("jbd", LinkCounts())
    good = guard.permit(ASK_AT, QUESTION)
    assert guard.check(good) == (ASK_AT, QUESTION)
    evil = ATTEMPTS[0].data
    changed = guard.permit(ASK_AT, QUESTION)
    object.__setattr__(changed, "data", evil)
    mutable = guard.permit(ASK_AT, QUESTION)
    object.__setattr__(mutable, "data", bytearray(QUESTION))

    class Sly(PermittedWrite):
        pass

    forged: list[Any] = [
        PermittedWrite(ASK_AT, evil, object()),
        PermittedWrite(ASK_AT, evil, good.seal),
        other.permit(ASK_AT, QUESTION),
        changed,
        mutable,
        Sly(ASK_AT, QUESTION, good.seal),
        (ASK_AT, evil),
        evil,
    ]
    for one in forged:
        with pytest.raises(RefusedRequest, match="packseal only reads"):
            guard.check(one)
    assert counts.refused == len(forged)


def test_the_link_writes_nothing_that_its_guard_has_not_permitted() -> None:
    async def go() -> None:
        radio = Radio()
        await radio.start()
        battery = Battery(random.Random(1))
        peripheral = Peripheral(radio, "C4:00:00:00:00:01", "JBD-1", "FF00", "FF01", "FF02")
        peripheral.answer = lambda question: cut(jbd_answer(battery, question[2]), 20)
        await peripheral.start()
        counts = LinkCounts()
        guard = BleGuard("jbd", counts)
        link: Any = BleLink(Ble(name="JBD-1"), PROTOCOLS["jbd"], guard, SystemClock())
        with installed(radio):
            await link.open()
            try:
                for attempt in ATTEMPTS:
                    for try_it in (
                        PermittedWrite(full(attempt.uuid), attempt.data, object()),
                        PermittedWrite(ASK_AT, attempt.data, guard.permit(ASK_AT, QUESTION).seal),
                        attempt.data,
                    ):
                        if try_it != QUESTION and getattr(try_it, "data", b"") != QUESTION:
                            with pytest.raises(RefusedRequest):
                                await link.write(try_it)
                assert radio.writes == []
                assert peripheral.asked == []
                await link.write(guard.permit(ASK_AT, QUESTION))
                await link.wait(5)  # for the answer
                assert peripheral.asked == [QUESTION]
            finally:
                await link.close()

    asyncio.run(go())


def test_no_other_module_writes_to_a_characteristic() -> None:
    root = Path(__file__).parents[2]
    found = [
        str(path.relative_to(root))
        for folder in ("agent", "drivers", "cloud-sink")
        for path in (root / folder).rglob("*.py")
        if "write_gatt" in path.read_text()
    ]
    links = "drivers/packseal_drivers/links"
    assert sorted(found) == [f"{links}/aiobmsble.py", f"{links}/ble.py"]
