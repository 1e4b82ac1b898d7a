"""VirtualRadio: BlueZ in the virtual gateway, its adapter at a UART, and the air on this machine."""

import asyncio
from collections.abc import Mapping

from packseal_hil.faces.ble_air import Air
from packseal_hil.faces.ble_battery import ADDRESS, BleBattery
from packseal_hil.faces.ble_phone import Phone
from packseal_hil.faces.bluetooth import Adapter
from packseal_hil.gateway.contents import BOARDS
from packseal_hil.gateway.machine import Machine
from packseal_hil.rig.protocols import LivingBattery, RadioFault, RigError, Speaker
from packseal_hil.rig.virtual_world import until

MODULES = "hci_uart ccm cmac ecb algif_skcipher algif_hash"
BAUD = 3_000_000
LOG = "/run/bluetooth.log"
REMEMBERED = "/var/lib/bluetooth"
"""What BlueZ has heard of devices in earlier scenarios."""
POWERED = "bluetoothctl --timeout 3 show | grep -q 'Powered: yes'"
HOLDS_S = 60.0


class VirtualRadio:
    """A `Radio`. The guest has no adapter until `on`, and none after `restore`."""

    def __init__(self, machine: Machine, uart: str) -> None:
        self._machine = machine
        self._uart = uart
        self._is_on = False
        self._air = Air()
        self._adapter = Adapter(machine.socket(uart), self._air)
        self._battery: BleBattery | None = None
        self._phone = Phone(self._air, ADDRESS)
        self._attached: int | None = None
        self._daemon: int | None = None
        self._fault = RadioFault.NONE

    async def on(self) -> Mapping[str, str]:
        """Start BlueZ and give it an adapter; raises RigError."""
        machine = self._machine
        self._is_on = True
        bus = "mkdir -p /run/dbus; pidof dbus-daemon || dbus-daemon --system --fork --nopidfile"
        await machine.check(f"modprobe -a {MODULES}; rm -rf {REMEMBERED}/*; {bus}")
        self._daemon = await machine.start_command("exec /usr/libexec/bluetooth/bluetoothd -n", LOG)
        await self._plug()
        return {"kind": "ble", "address": ADDRESS}

    def battery(self, profile: str, battery: LivingBattery) -> Speaker:
        """Return this battery as one on the air; raises RigError."""
        self._battery = BleBattery(profile, battery, self._air)
        return self._battery

    async def fault(self, fault: RadioFault) -> None:
        """End the fault that there is and make this one; raises RigError."""
        if self._battery is None:
            raise RigError("there is no battery on the air")
        await self._mend()
        match fault:
            case RadioFault.OUT_OF_RANGE:
                self._air.take_away(self._battery.controller)
            case RadioFault.TAKEN:
                await self._take()
            case RadioFault.UNPLUGGED:
                await self._unplug()
        self._fault = fault

    async def restore(self) -> None:
        """Leave nothing of it in the guest or on the air."""
        if not self._is_on:
            return
        self._is_on = False
        if self._battery is not None:
            self._air.bring_back(self._battery.controller)
        if self._fault is RadioFault.TAKEN:
            await self._phone.let_go()
        self._fault = RadioFault.NONE
        await self._unplug()
        if self._daemon is not None:
            await self._machine.run(f"kill -9 {self._daemon}; pkill -9 dbus-daemon")
        self._battery = self._daemon = None

    async def close(self) -> None:
        """Let go of the guest, which may be gone."""
        await self._adapter.unplug()

    async def powered_on(self) -> None:
        """Begin again after a boot, which has forgotten BlueZ; raises RigError."""
        if self._is_on:
            await self._adapter.unplug()
            self._attached = None
            await self.on()

    async def _mend(self) -> None:
        match self._fault:
            case RadioFault.OUT_OF_RANGE if self._battery is not None:
                self._air.bring_back(self._battery.controller)
            case RadioFault.TAKEN:
                await self._phone.let_go()
            case RadioFault.UNPLUGGED:
                await self._plug()
        self._fault = RadioFault.NONE

    async def _take(self) -> None:
        self._phone.take()
        try:
            await asyncio.wait_for(self._phone.holds.wait(), HOLDS_S)
        except TimeoutError:
            await self._phone.let_go()
            raise RigError("the phone has not got the battery's only connection: who holds it?") from None

    async def _plug(self) -> None:
        """Put the adapter in; BlueZ powers it by itself (AutoEnable of its main.conf, true since 5.65)."""
        await self._adapter.plug()
        port = f"/dev/{BOARDS[self._machine.image.arch].uarts[1]}"
        attach = f"exec btattach -B {port} -P h4 -S {BAUD} -N"
        self._attached = await self._machine.start_command(attach, LOG)
        await until(self._machine, POWERED, "BlueZ has no adapter that is powered")

    async def _unplug(self) -> None:
        """Pull the adapter out: to the kernel it is gone, as a USB one is."""
        if self._attached is not None:
            await self._machine.run(f"kill -9 {self._attached}")
            await until(self._machine, "test ! -e /sys/class/bluetooth/hci0", "the adapter is still there")
        self._attached = None
        await self._adapter.unplug()
