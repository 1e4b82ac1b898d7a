"""What the virtual rig does to the gateway really happens to it."""

import re
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.hil.gateway.booted import Virtual

from packseal_hil.gateway.contents import HOME
from packseal_hil.rig.protocols import BusFault, CanFrame
from packseal_hil.rig.shape import CLEAR, Shape
from packseal_hil.rig.virtual import VirtualRig
from packseal_hil.rig.virtual_world import DIRECTORY, HOST

NTP, RTC = 2, 1  # ClockQuality
QUALITY = f"{HOME}/bin/python -c 'from packseal.clock import quality; print(int(quality()))'"


def state(virtual: Virtual) -> str:
    """Return the CAN controller's state as the kernel has it."""
    found = re.search(r"can .*state ([A-Z-]+)", virtual.sh("ip -details link show can0"))
    assert found
    return found[1]


def test_it_boots(virtual: Virtual, measure: Callable[[str, float], None]) -> None:
    assert virtual.sh("uname -r").startswith("6.12.")
    assert virtual.sh(f"{virtual.rig.device.packseal} --version").startswith("packseal ")
    measure("boot_s", virtual.rig.machine.boot_s)


def test_it_reaches_this_machines_loopback_and_nothing_else(virtual: Virtual) -> None:
    assert virtual.sh("ip route") == "10.0.2.0/24 dev eth0 proto kernel scope link src 10.0.2.15 \n"
    assert "Network is unreachable" in virtual.sh("ping -c 1 192.0.2.1 2>&1; true")


@pytest.mark.parametrize(
    ("fault", "expected"),
    [(BusFault.WARNING, "ERROR-WARNING"), (BusFault.PASSIVE, "ERROR-PASSIVE"), (BusFault.OFF, "BUS-OFF")],
)
def test_the_can_controller_is_driven_to_every_state_and_back(virtual: Virtual, fault: BusFault, expected: str) -> None:
    rig = virtual.rig
    virtual.do(rig.bus.fault(fault))
    virtual.until(f"ip -details link show can0 | grep -q 'state {expected}'", lambda: state(virtual))
    virtual.do(rig.bus.fault(BusFault.NONE))
    virtual.until("ip -details link show can0 | grep -q 'state ERROR-ACTIVE'", lambda: state(virtual))


def test_an_adapter_that_is_taken_out_takes_the_interface_with_it(virtual: Virtual) -> None:
    rig = virtual.rig
    virtual.do(rig.bus.fault(BusFault.GONE))
    assert virtual.do(rig.device.run("ip link show can0")).code
    virtual.do(rig.bus.fault(BusFault.NONE))
    output = virtual.start("sh -c 'echo open; exec candump -n 2 can0'", "dump")
    time.sleep(1)
    virtual.do(rig.bus.send([CanFrame(0x123, b"\x01\x02"), CanFrame(0x8ABC_DEF1, b"")]))
    virtual.until(f"grep -q ABCDEF1 {output}", lambda: virtual.sh(f"cat {output}"))
    assert "123   [2]  01 02" in virtual.sh(f"cat {output}")


def test_a_network_that_is_down_swallows_packets_and_one_that_is_bad_loses_and_delays_them(
    virtual: Virtual, measure: Callable[[str, float], None]
) -> None:
    rig = virtual.rig
    ping = f"ping -q -i 0.02 -W 2 -c {{count}} {HOST}; true"
    virtual.do(rig.network.down())
    assert "100% packet loss" in virtual.sh(ping.format(count=5))
    assert "state UP" in virtual.sh("ip link show eth0")
    virtual.do(rig.network.up())
    virtual.do(rig.network.shape(Shape(loss_pct=30, delay_ms=40)))
    virtual.do(rig.network.down())
    assert "100% packet loss" in virtual.sh(ping.format(count=5))
    virtual.do(rig.network.up())
    said = virtual.sh(ping.format(count=200))
    virtual.do(rig.network.shape(CLEAR))
    lost = float(re.findall(r"([\d.]+)% packet loss", said)[0])
    round_trip_ms = float(re.findall(r"= [\d.]+/([\d.]+)/", said)[0])
    # 51 % are expected of 30 % each way; six standard deviations of 200 trials are 21.
    assert 30 < lost < 72
    assert round_trip_ms >= 80
    measure("netem_lost_pct", lost)
    measure("netem_round_trip_ms", round_trip_ms)
    assert " 0% packet loss" in virtual.sh(ping.format(count=20))


def test_the_clock_is_set_and_disciplined(virtual: Virtual) -> None:
    clock = virtual.rig.clock
    virtual.do(clock.set(0))
    assert float(virtual.sh("date +%s")) < 86_400
    assert int(virtual.sh(QUALITY)) == RTC
    virtual.do(clock.synchronise())
    assert abs(float(virtual.sh("date +%s.%N")) - time.time()) < 5
    assert int(virtual.sh(QUALITY)) == NTP
    virtual.do(clock.set(time.time() - 3600))
    assert int(virtual.sh(QUALITY)) == RTC
    virtual.do(clock.set(time.time()))


def test_a_full_disk_has_no_byte_left_until_it_is_freed(virtual: Virtual) -> None:
    disk = virtual.rig.disk
    write = f"head -c 100000 /dev/zero > {DIRECTORY}/more"
    virtual.do(disk.fill())
    assert "No space left on device" in virtual.do(virtual.rig.device.run(write)).output
    virtual.do(disk.free())
    virtual.sh(write)


def test_a_frozen_disk_refuses_writes_to_files_that_are_open_already(virtual: Virtual) -> None:
    disk = virtual.rig.disk
    output = virtual.start(virtual.program("writing.py", f"{DIRECTORY}/open"), "writing")
    virtual.do(disk.freeze())
    virtual.until(f"tail -n 1 {output} | grep -q 'in place: Read-only file system, behind: Read-only file system'")
    virtual.do(disk.thaw())
    virtual.until(f"tail -n 1 {output} | grep -q 'in place: stored, behind: stored'")


def test_a_power_cut_loses_what_was_not_flushed_and_the_time_but_nothing_else(virtual: Virtual) -> None:
    rig: VirtualRig = virtual.rig
    virtual.do(rig.device.put(f"{DIRECTORY}/flushed", b"here"))
    virtual.sh(f"echo gone > {DIRECTORY}/written")
    virtual.do(rig.power.cut())
    assert not rig.machine.is_on
    fitted = rig.machine.parts
    rig.machine.parts = replace(fitted, rtc_wall_s=0)
    virtual.do(rig.power.on())
    rig.machine.parts = fitted
    # As a gateway whose clock chip has lost its battery.
    assert float(virtual.sh("date +%s")) < 86_400
    assert int(virtual.sh(QUALITY)) == RTC
    assert virtual.do(rig.device.get(f"{DIRECTORY}/flushed")) == b"here"
    assert virtual.do(rig.device.run(f"grep -q gone {DIRECTORY}/written")).code
    assert state(virtual) == "ERROR-ACTIVE"


def test_after_a_reset_nothing_is_left(virtual: Virtual) -> None:
    rig = virtual.rig
    pid = virtual.do(rig.device.start("sleep 1000", "/run/sleep.log"))
    virtual.do(rig.device.put(f"{DIRECTORY}/deep/file", b"x"))
    virtual.do(rig.bus.fault(BusFault.OFF))
    virtual.do(rig.network.down())
    virtual.do(rig.reset())
    assert virtual.sh(f"ls -A {DIRECTORY}") == ""
    assert virtual.do(rig.device.run(f"kill -0 {pid}")).code
    assert state(virtual) == "ERROR-ACTIVE"
    assert " 0% packet loss" in virtual.sh(f"ping -q -c 3 -i 0.1 {HOST}; true")
