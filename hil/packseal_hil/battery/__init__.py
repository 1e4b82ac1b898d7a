"""Simulated batteries: what a BMS says, and what was true.

`open_battery(BatterySpec(...), seed)` gives a SimulatedBattery; `python -m packseal_hil.battery` runs one.
"""

from packseal_hil.battery.battery import SimulatedBattery, open_battery
from packseal_hil.battery.spec import BatterySpec, Bms, Sensor, Sensors, Spread

__all__ = ["BatterySpec", "Bms", "Sensor", "Sensors", "SimulatedBattery", "Spread", "open_battery"]
