"""Modbus over real TCP, TLS and RTU over TCP, against pymodbus' own servers."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.drivers.modbus_devices import HOST, tcp_server, tls_server
from tests.drivers.modbus_listening import Listening, check, device, opened, run, write

from packseal.clock import SystemClock
from packseal.core.errors import ConfigError
from packseal.core.sample import EventCode, LinkState
from packseal_drivers.profile import load
from packseal_drivers.registry import open_driver


@pytest.mark.parametrize("transport", ["tcp", "rtu_over_tcp"])
def test_tcp(transport: str, tmp_path: Path) -> None:
    async def body() -> None:
        far = device()
        async with tcp_server(far, rtu=transport == "rtu_over_tcp") as port:
            driver = opened(tmp_path, write(tmp_path), transport=transport, host=HOST, port=port)
            async with Listening(driver) as heard:
                await heard.until(lambda: len(heard.samples) > 2)
            check(heard.samples[0])
            assert set(far.asked) == {(3, 100, 3), (4, 200, 4)}, "two requests are enough"
            counts = driver.counts
            assert counts.state is LinkState.HEALTHY
            assert counts.requests >= 6
            assert (counts.unanswered, counts.cut, counts.unexpected, counts.refused) == (0, 0, 0, 0)

    run(body)


@pytest.mark.parametrize("mutual", [False, True])
def test_tls(tmp_path: Path, *, mutual: bool) -> None:
    async def body() -> None:
        async with tls_server(device(), tmp_path, mutual=mutual) as port:
            own = {"certificate": "ca.pem", "key": "ca.key"} if mutual else {}
            settings = {"transport": "tls", "authorities": "ca.pem", "timeout_s": 5.0, **own}
            driver = opened(tmp_path, write(tmp_path), host=HOST, port=port, **settings)
            async with Listening(driver) as heard:
                await heard.until(lambda: bool(heard.samples))
            check(heard.samples[0])

    run(body)


def test_tls_without_trust_is_a_lost_link_that_says_why(tmp_path: Path) -> None:
    async def body() -> None:
        async with tls_server(device(), tmp_path) as port:
            driver = opened(tmp_path, write(tmp_path), transport="tls", host=HOST, port=port)
            async with Listening(driver) as heard:
                await heard.until(lambda: bool(heard.notices))
            assert heard.codes() == [EventCode.LINK_LOST]
            assert "CERTIFICATE_VERIFY_FAILED" in str(heard.notices[0].attributes["reason"])

    run(body)


def test_a_device_without_our_certificate_is_a_lost_link(tmp_path: Path) -> None:
    async def body() -> None:
        async with tls_server(device(), tmp_path, mutual=True) as port:
            driver = opened(tmp_path, write(tmp_path), transport="tls", host=HOST, port=port, authorities="ca.pem")
            async with Listening(driver) as heard:
                await heard.until(lambda: EventCode.LINK_LOST in heard.codes())
            assert not heard.samples

    run(body)


def test_a_device_that_is_gone_is_told_once_and_found_again(tmp_path: Path) -> None:
    async def body() -> None:
        file = write(tmp_path)
        async with tcp_server(device()) as port:
            driver = opened(tmp_path, file, host=HOST, port=port)
            listening = Listening(driver)
            async with listening:
                await listening.until(lambda: bool(listening.samples))
                await _restart(listening, port)
        assert listening.codes() == [EventCode.LINK_LOST, EventCode.BUS_RECOVERED]
        assert driver.counts.state is LinkState.HEALTHY

    async def _restart(listening: Listening, port: int) -> None:
        from pymodbus.server import ServerAsyncStop  # noqa: PLC0415

        await ServerAsyncStop()
        await listening.until(lambda: EventCode.LINK_LOST in listening.codes())
        before = len(listening.samples)
        async with tcp_server(device(), port=port):
            await listening.until(lambda: len(listening.samples) > before)

    run(body)


@pytest.mark.parametrize(
    ("package", "transport"), [("pymodbus", "host='h'"), ("serial", "transport='rtu', device='/dev/ttyX'")]
)
def test_without_its_package_modbus_says_what_to_install(package: str, transport: str) -> None:
    program = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from pathlib import Path\n"
        "from packseal.core.errors import ConfigError\n"
        "from packseal_drivers.modbus.sharing import bus_for\n"
        "from packseal_drivers.settings import Modbus\n"
        f"try: bus_for(Modbus({transport}), Path())\n"
        "except ConfigError as error: print(error)\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == "Modbus needs another package: pip install 'packseal[modbus]'\n"


def test_only_what_is_needed_is_imported() -> None:
    """A gateway without a Modbus battery does not load pymodbus, and one with it only when it connects."""
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "import packseal_drivers.registry\n"
        "from packseal_drivers.modbus.sharing import bus_for\n"
        "from packseal_drivers.settings import Modbus\n"
        "bus_for(Modbus(host='h'), Path())\n"
        "print([m for m in sys.modules if m.startswith('pymodbus')])\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == "[]\n"


def test_a_profile_of_another_wire_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not fit the link: it is not read over Modbus"):
        opened(tmp_path, load("victron/can_bms"), host=HOST)
    from packseal_drivers.settings import SocketCan  # noqa: PLC0415

    with pytest.raises(ConfigError, match='does not fit the link: it is read over kind = "modbus"'):
        open_driver(SocketCan("can0"), write(tmp_path), directory=tmp_path, cache=None, clock=SystemClock())
