"""The agent's own drivers on what only a kernel with CAN has: vcan, vxcan, CAN FD, filters, gateways, ISO-TP, J1939."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.hil.gateway.booted import PLACE, Virtual

from packseal_hil.gateway.contents import HOME

CELLS = [150 + index % 20 for index in range(96)]
VOLTAGE, STEP_V = 3642, 0.1
ECU_PROFILE = """
name = "bench/ecu"
title = "A control unit on the kernel's own ISO-TP"
source = "this test"
[sampling]
period_s = 1
silent_after_s = 60
[[request]]
name = "pack"
protocol = "uds"
to = 0x7E4
answer = 0x7EC
ask = "22 01 01"
[[request.field]]
quantity = "pack_voltage_v"
at = 3
length = 2
factor = 0.1
[[request.field]]
quantity = "cell_voltage_v"
at = 5
count = 96
factor = 0.02
"""
GROUP_PROFILE = """
name = "bench/group"
title = "A group of J1939 that takes several frames"
source = "this test"
[sampling]
period_s = 1
silent_after_s = 60
[[pgn]]
name = "history"
pgn = 64606
field = [
    { quantity = "state_of_health_pct", at = 0, factor = 0.4 },
    { quantity = "pack_voltage_v", at = 30, length = 2, factor = 0.05 },
]
"""
BATTERY = 0xF3


def frames_of(virtual: Virtual, output: str) -> Any:
    """Return what guest/link.py has printed."""
    virtual.until(f"grep -q dropped {output}", lambda: virtual.sh(f"cat {output}"))
    return json.loads(virtual.sh(f"tail -n 1 {output}"))


def samples(virtual: Virtual, output: str) -> list[dict[str, float]]:
    """Return what guest/reading.py has printed."""
    return [json.loads(line) for line in virtual.sh(f"cat {output}").splitlines() if line.startswith("{")]


@pytest.fixture
def listen(virtual: Virtual) -> Callable[..., str]:
    """Starts our link on an interface of the guest; gives the path of what it prints."""

    def start(interface: str, *addresses: str, seconds: float = 3) -> str:
        return virtual.start(virtual.program("link.py", interface, seconds, *addresses), "link")

    return start


def test_the_kernel_lets_only_mapped_ids_and_errors_pass(
    virtual: Virtual, vcan: str, listen: Callable[..., str]
) -> None:
    output = listen(vcan, "3F0", "80000003")
    for frame in ("3F0#01", "3F1#02", "3F0#R", "000003F0#03", "00000003#04", "003#05", "20000040#0000000000000000"):
        virtual.sh(f"cansend {vcan} {frame}")
    seen = frames_of(virtual, output)
    assert seen["frames"] == [[0x3F0, "01"], [0x8000_0003, "04"], [0x2000_0040, "00" * 8]]
    assert seen["dropped"] == 0


def test_a_can_fd_frame_of_64_bytes_with_bit_rate_switch(
    virtual: Virtual, vcan: str, listen: Callable[..., str]
) -> None:
    output = listen(vcan, "3F0")
    data = bytes(range(64)).hex()
    virtual.sh(f"cansend {vcan} 3F0##1{data}")  # the digit after ## holds the flags: 1 is BRS (cansend(1))
    assert frames_of(virtual, output)["frames"] == [[0x3F0, data]]


def test_over_a_kernel_cable_both_ends_see_what_the_other_sends(
    virtual: Virtual, pair: tuple[str, str], listen: Callable[..., str]
) -> None:
    near, far = pair
    output = listen(near, "3F0")
    virtual.sh(f"cansend {far} 3F0#1122 && cansend {far} 3F1#33")
    assert frames_of(virtual, output)["frames"] == [[0x3F0, "1122"]]


def test_frames_that_the_kernel_routes_from_another_bus_arrive(
    virtual: Virtual, vcan: str, pair: tuple[str, str], listen: Callable[..., str]
) -> None:
    near, far = pair
    virtual.sh(f"modprobe can_gw && cangw -A -s {vcan} -d {far} -e -f 3F0:7FF -m SET:D:3F0.8.AABBCCDDEEFF0011")
    output = listen(near, "3F0", "3F1")
    virtual.sh(f"cansend {vcan} 3F0#0102030405060708 && cansend {vcan} 3F1#01")
    seen = frames_of(virtual, output)["frames"]
    virtual.sh("cangw -F")
    assert seen == [[0x3F0, "aabbccddeeff0011"]]


def test_the_poller_reads_a_control_unit_on_the_kernels_own_iso_tp(
    virtual: Virtual, pair: tuple[str, str], tmp_path: Path
) -> None:
    near, far = pair
    virtual.sh("modprobe can_isotp")
    (tmp_path / "ecu.toml").write_text(ECU_PROFILE)
    answer = bytes((0x62, 1, 1)) + VOLTAGE.to_bytes(2) + bytes(CELLS)
    asked = virtual.start(virtual.program("ecu.py", far, "7E4", "7EC", answer.hex()), "ecu")
    profile = virtual.put(tmp_path / "ecu.toml")
    output = virtual.start(virtual.program("reading.py", profile, near, 30), "reading")
    virtual.until(f"grep -q cell_voltage_v {output}", lambda: virtual.sh(f"cat {output} {asked}"))
    found = samples(virtual, output)[0]
    assert found["pack_voltage_v[0]"] == pytest.approx(VOLTAGE * STEP_V)
    cells = [found[f"cell_voltage_v[{index}]"] for index in range(len(CELLS))]
    assert cells == pytest.approx([cell * 0.02 for cell in CELLS])
    assert "asked 220101" in virtual.sh(f"cat {asked}")


def test_a_group_that_the_kernels_own_j1939_broadcasts_is_put_together(
    virtual: Virtual, pair: tuple[str, str], tmp_path: Path
) -> None:
    near, far = pair
    virtual.sh("modprobe can_j1939")
    (tmp_path / "group.toml").write_text(GROUP_PROFILE)
    profile = virtual.put(tmp_path / "group.toml")
    output = virtual.start(virtual.program("reading.py", profile, near, 60), "reading")
    data = bytearray(b"\xff" * 40)
    data[0], data[30:32] = 233, (7284).to_bytes(2, "little")
    virtual.sh(virtual.program("group.py", far, f"{BATTERY:X}", 64606, data.hex()))
    virtual.until(f"grep -q pack_voltage_v {output}", lambda: virtual.sh(f"cat {output}"))
    found = samples(virtual, output)[0]
    assert found["state_of_health_pct[0]"] == pytest.approx(93.2)
    assert found["pack_voltage_v[0]"] == pytest.approx(364.2)


def test_frames_per_second_on_vcan(virtual: Virtual, vcan: str, measure: Callable[[str, float], None]) -> None:
    seen = json.loads(virtual.sh(virtual.program("pacing.py", vcan, 5)))
    assert seen["lost"] == 0
    assert seen["frames_per_s"] > 0
    measure("vcan_frames_per_s", seen["frames_per_s"])


@pytest.mark.usefixtures("vcan")
def test_the_projects_own_tests_of_its_links_pass_in_the_guest(virtual: Virtual) -> None:
    root = Path(__file__).parents[3]
    tests = root / "tests"
    for path in [root / "pyproject.toml", *(tests / "drivers").glob("*.py")]:
        virtual.put(path, f"own/{path.relative_to(root)}")
    names = ("test_socketcan.py", "test_health.py")
    chosen = " ".join(f"tests/drivers/{name}" for name in names)
    # The kernel begins to stamp what it receives a while after the first socket has asked for it, and what came before
    # gets the time at which it is read (net_enable_timestamp, net/core/dev.c). With -t candump asks all the time.
    virtual.start("echo open; exec candump -t a vcan0", "stamps")
    options = "-p no:cacheprovider --timeout 240 -rs -q"
    said = virtual.sh(f"cd {PLACE}/own && {HOME}/bin/python -m pytest {options} {chosen} 2>&1", timeout_s=900)
    assert " passed" in said
    assert "SKIPPED" not in said, said
