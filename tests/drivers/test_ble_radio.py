"""An adapter that several batteries share: connections in turns, searches together, nothing lost when one gives up."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests.drivers.bleak_on_bumble import installed
from tests.drivers.bluetooth import Peripheral
from tests.drivers.bluetooth import Radio as Air

from packseal.clock import SystemClock
from packseal.core.errors import ConfigError, LinkError
from packseal_drivers import profile
from packseal_drivers.ble.radio import Radio, radio_of, searching, telling
from packseal_drivers.registry import open_driver
from packseal_drivers.settings import Ble


def test_connections_go_round_in_the_order_of_asking() -> None:
    async def go() -> None:
        radio, order, held = Radio(None), list[int](), 0

        async def battery(number: int) -> None:
            nonlocal held
            for _ in range(2):
                async with radio.slot(2):
                    held += 1
                    assert held <= 2
                    order.append(number)
                    await asyncio.sleep(0.01)
                    held -= 1

        await asyncio.gather(*(battery(n) for n in range(4)))
        assert order[:4] == [0, 1, 2, 3]
        assert sorted(order) == [0, 0, 1, 1, 2, 2, 3, 3]
        assert not radio.is_wanted

    asyncio.run(go())


def test_who_gives_up_waiting_takes_no_connection_with_it() -> None:
    async def go() -> None:
        radio = Radio(None)

        async def hold(release: asyncio.Event) -> None:
            async with radio.slot(1):
                await release.wait()

        for cancel_when_granted in (False, True):
            release = asyncio.Event()
            holder = asyncio.create_task(hold(release))
            await asyncio.sleep(0)
            waiting = asyncio.create_task(hold(asyncio.Event()))
            await asyncio.sleep(0)
            wanted = radio.is_wanted
            assert wanted
            if cancel_when_granted:
                release.set()
                await holder
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            release.set()
            await holder
            assert not radio.is_wanted
            async with asyncio.timeout(1), radio.slot(1):
                pass

    asyncio.run(go())


def on_air(test: Callable[[Radio], Awaitable[None]]) -> None:
    async def go() -> None:
        air = Air()
        await air.start()
        for number in range(2):
            await Peripheral(air, f"C4:00:00:00:00:0{number}", f"bat{number}", "180F").start()
        with installed(air):
            await test(radio_of(None))

    asyncio.run(go())


def test_a_search_finds_everybodys_battery_and_a_connection_comes_first() -> None:
    async def test(radio: Radio) -> None:
        assert radio_of(None) is radio
        lost = asyncio.create_task(radio.find(lambda address, _name: address == "none", 2))
        await asyncio.sleep(0.1)
        async with asyncio.timeout(1), radio.connecting():
            pass
        async with asyncio.timeout(1.5):
            found = await asyncio.gather(
                *(radio.find(lambda _a, name, n=n: name == f"bat{n}", 1.4) for n in range(2))  # type: ignore[misc]
            )
        assert [device.name for device in found] == ["bat0", "bat1"]
        assert radio.said(found[0]).local_name == "bat0"
        with pytest.raises(LinkError, match="not heard in 2 s: out of range, asleep, or connected to something else"):
            await lost

    on_air(test)


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (TimeoutError(), "no answer from it in time"),
        (FileNotFoundError(2, "no such socket"), "is bluetoothd running"),
        (EOFError(), "is bluetoothd running"),
    ],
)
def test_what_the_system_raises_is_one_line(raised: Exception, said: str) -> None:
    with pytest.raises(LinkError, match=said), telling():
        raise raised


def test_what_bleak_raises_is_one_line() -> None:
    from bleak import exc  # noqa: PLC0415 - beside what it is needed for

    for raised, said in (
        (exc.BleakGATTProtocolError(0x0F), "until it is paired"),
        (exc.BleakGATTProtocolError(0x0A), "GATT Protocol Error"),
        (exc.BleakDBusError("org.bluez.Error.AuthenticationFailed", ["failed"]), "until it is paired"),
        (exc.BleakDBusError("org.freedesktop.DBus.Error.AccessDenied", []), "group bluetooth"),
        (exc.BleakDBusError("org.bluez.Error.InProgress", ["busy"]), "InProgress"),
        (exc.BleakDeviceNotFoundError("x", "gone"), "gone before"),
        (exc.BleakError("other"), "other"),
    ):
        with pytest.raises(LinkError, match=said), telling():
            raise raised


def test_without_bleak_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "bleak"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "bleak", None)
    with pytest.raises(ConfigError, match=r"pip install 'packseal\[ble\]'"):
        open_driver(Ble(name="x"), profile.load("jbd/smart_bms"), directory=tmp_path, cache=None, clock=SystemClock())


def test_an_operation_that_is_cancelled_beneath_us_is_a_lost_link_and_a_stop_is_a_stop() -> None:
    async def operate(given_up: asyncio.Future[None]) -> None:
        with telling():
            await given_up

    async def scenario() -> None:
        given_up: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(operate(given_up))
        await asyncio.sleep(0)
        given_up.cancel()
        with pytest.raises(LinkError, match="lost in the middle"):
            await task
        stopped = asyncio.create_task(operate(asyncio.get_running_loop().create_future()))
        await asyncio.sleep(0)
        stopped.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stopped

    asyncio.run(scenario())


def test_an_adapter_of_which_the_service_says_too_little_is_one_sentence() -> None:
    with pytest.raises(LinkError, match="does not say what the adapter can"), searching():
        raise KeyError("Roles")
    with pytest.raises(KeyError), searching():
        raise KeyError("anything else")
