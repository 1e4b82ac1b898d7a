"""Which bus a connection has: one for all the batteries behind it."""

import gc
from importlib.util import find_spec
from pathlib import Path
from weakref import WeakValueDictionary

import msgspec

from packseal.core.errors import ConfigError
from packseal_drivers.modbus.bus import ModbusBus
from packseal_drivers.settings import Modbus

_shared: WeakValueDictionary[str, ModbusBus] = WeakValueDictionary()
"""By the connection's words. A serial line has one owner, and many gateways allow one connection only."""


def bus_for(settings: Modbus, directory: Path) -> ModbusBus:
    """Return the bus of a connection, the same for all batteries behind it.

    Raises:
        ConfigError: another battery behind it describes it differently, or a package is missing.
    """
    needed = ("pymodbus", "serial") if settings.transport == "rtu" else ("pymodbus",)
    if any(find_spec(name) is None for name in needed):
        raise ConfigError("Modbus needs another package: pip install 'packseal[modbus]'")
    if not _alike(settings):
        gc.collect()  # one of a driver that nobody has any more may not have gone yet
        if not _alike(settings):
            where = settings.where
            raise ConfigError(
                f"two batteries behind {where} must describe it alike, all but unit, string and timeout_s"
            )
    bus = _shared.get(settings.where)
    if bus is None:
        bus = _shared[settings.where] = ModbusBus(settings, directory)
    return bus


def _alike(settings: Modbus) -> bool:
    """Whether nobody else describes the connection differently."""
    bus = _shared.get(settings.where)
    return bus is None or _connection_of(bus.settings) == _connection_of(settings)


def _connection_of(settings: Modbus) -> Modbus:
    return msgspec.structs.replace(settings, unit=1, string=None, timeout_s=1.0)
