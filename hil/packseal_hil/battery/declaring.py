"""What a manufacturer would declare of a simulated battery: found in the test bay on a new one of mean cells."""

import msgspec
import numpy as np

from packseal.core.declared import Declared
from packseal_hil.battery import reference
from packseal_hil.battery.ageing import Trajectory
from packseal_hil.battery.cells import Cells
from packseal_hil.battery.chemistry import CHEMISTRIES
from packseal_hil.battery.spec import BatterySpec, Spread

MEAN_GRID = np.linspace(0, 1, 201)
W_PER_KW = 1000.0


def new_cells(spec: BatterySpec, trajectory: Trajectory) -> Cells:
    """Return the cells of a new battery of this spec, all of them alike."""
    alike = msgspec.structs.replace(spec, spread=Spread(), start_soc_pct=100.0)
    return Cells(alike, CHEMISTRIES[spec.chemistry], trajectory.at(0), np.random.default_rng(0))


def declare(spec: BatterySpec, trajectory: Trajectory) -> Declared:
    """Return the declaration, its initial values by the conditions of `reference`."""
    chemistry, new = CHEMISTRIES[spec.chemistry], new_cells(spec, trajectory)
    mean_v = float(trajectory.at(0).ocv_v(MEAN_GRID).mean())
    rate_a = reference.RATE_C[spec.category] * spec.capacity_ah
    loop = reference.loop(new, rate_a, chemistry.discharge_limit_v)
    power_w = [reference.power_w(new, chemistry, spec.capacity_ah, s) for s in reference.POWER_AT_PCT]
    return Declared(
        category=spec.category,
        chemistry=spec.chemistry,
        rated_capacity_ah=spec.capacity_ah,
        rated_energy_kwh=round(spec.capacity_ah * mean_v * spec.cells / W_PER_KW, 4),
        certified_energy_kwh=round(loop.discharged_kwh, 4) if spec.category == "ev" else None,
        nominal_voltage_v=round(mean_v * spec.cells, 2),
        cells_in_series=spec.cells,
        temperature_min_c=chemistry.temperature_c[0],
        temperature_max_c=chemistry.temperature_c[1],
        cell_voltage_min_v=chemistry.declared_min_v,
        cell_voltage_max_v=chemistry.declared_max_v,
        max_charge_current_a=chemistry.charge_c * spec.capacity_ah,
        max_discharge_current_a=chemistry.discharge_c * spec.capacity_ah,
        initial_resistance_ohm=new.pulse_ohm,
        initial_power_at_80_w=power_w[0],
        initial_power_at_20_w=power_w[1],
        initial_round_trip_efficiency_pct=loop.efficiency_pct,
        initial_self_discharge_pct_month=spec.self_discharge_pct_per_month or None,
    )
