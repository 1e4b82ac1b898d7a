"""What the simulation knows of each chemistry beside its open-circuit curve, for a cell of any size.

Resistances scale with 1/capacity, as cells in parallel do; so they are given as ohm times ampere hour.
"""

from typing import NamedTuple


class Chemistry(NamedTuple):
    """One chemistry. Voltages are of one cell."""

    trajectory: str
    """The trajectory that gives its open-circuit curve, new and aged."""
    charge_limit_v: float
    """Where charging tapers off."""
    discharge_limit_v: float
    """Where the BMS ends a discharge."""
    declared_min_v: float
    declared_max_v: float
    """What the manufacturer declares as the limits of harm; the working limits lie within."""
    pulse_ohm_ah: float
    """10 s resistance at half charge and 25 °C, new."""
    mass_kg_per_ah: float
    hysteresis_v: float
    """Half of the gap between the open-circuit voltages after charge and after discharge."""
    charge_c: float
    discharge_c: float
    """The largest currents that the BMS allows, in multiples of the rated capacity per hour."""
    temperature_c: tuple[float, float]
    """The range that the manufacturer declares."""


CHEMISTRIES = {
    "nmc": Chemistry(
        trajectory="nmc_okane2022",
        charge_limit_v=4.2,  # LG M50: doi:10.1149/1945-7111/ab9050
        discharge_limit_v=2.8,
        declared_min_v=2.5,  # LG M50, the same source
        declared_max_v=4.25,
        # About 0.1 ohm at 60 Ah and 96 cells (BMW i3: doi:10.21227/6jr9-5235), so 1 mohm a cell.
        pulse_ohm_ah=0.06,
        mass_kg_per_ah=0.0138,  # LG M50: 69 g, 5 Ah
        hysteresis_v=0.0,
        charge_c=2.0,
        discharge_c=5.0,
        temperature_c=(0.0, 45.0),
    ),
    "lfp": Chemistry(
        trajectory="lfp_prada2013",
        charge_limit_v=3.6,  # A123 26650: doi:10.1149/2.053304jes
        discharge_limit_v=2.5,
        declared_min_v=2.0,  # the same source
        declared_max_v=3.75,
        pulse_ohm_ah=0.05,  # prismatic 100 Ah cells: about 0.5 mohm
        mass_kg_per_ah=0.03,  # A123 26650: 70 g, 2.3 Ah
        hysteresis_v=0.012,  # at room temperature 10 to 25 mV in all: Dreyer et al., doi:10.1038/nmat2730
        charge_c=1.0,
        discharge_c=3.0,
        temperature_c=(0.0, 45.0),
    ),
}

SPECIFIC_HEAT_J_PER_KG_K = 1000.0
"""Of lithium-ion cells: 800 to 1100, Steinhardt et al., doi:10.1016/j.est.2022.105400 (a review)."""

ACTIVATION_J_PER_MOL = 25_000.0
"""Of the resistance: between 17.8 kJ/mol (positive) and 35 kJ/mol (graphite) of doi:10.1149/1945-7111/ab9050."""

GAS_J_PER_MOL_K = 8.314462618  # CODATA 2018
REFERENCE_K = 298.15
ZERO_C_IN_K = 273.15

OHMIC_SHARE, FAST_SHARE, SLOW_SHARE = 0.6, 0.3, 0.6
"""R0, R1 and R2 by the 10 s resistance, before they are scaled so that a 10 s pulse gives exactly that."""

FAST_S, SLOW_S = 4.0, 240.0
"""Time constants of the two RC pairs: charge transfer, and diffusion in the particles."""

RESISTANCE_BY_SOC = (
    (-0.1, 0.0, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.1),
    (4.0, 2.4, 1.7, 1.35, 1.12, 1.0, 1.0, 1.02, 1.1, 1.2),
)
"""State of charge, and R0 relative to half charge: flat in the middle, steep towards empty, as pulse tests show."""
