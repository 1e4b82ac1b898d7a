"""The contract of every driver, kept by each kind of battery that is read over Bluetooth."""

from pathlib import Path

from tests.drivers.ble_rig import air_rig

from packseal_drivers.testing.contract import DriverContract, Rig


class TestJbd(DriverContract):
    async def rig(self, directory: Path) -> Rig:
        return await air_rig("jbd/smart_bms", directory)


class TestDaly(DriverContract):
    async def rig(self, directory: Path) -> Rig:
        return await air_rig("daly/smart_bms", directory)


class TestJk02(DriverContract):
    async def rig(self, directory: Path) -> Rig:
        return await air_rig("jk/jk02_32s", directory)


class TestBatteryService(DriverContract):
    async def rig(self, directory: Path) -> Rig:
        return await air_rig("bluetooth/battery_service", directory)
