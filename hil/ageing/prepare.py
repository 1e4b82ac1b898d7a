# ruff: noqa: INP001
"""Simulate how a lithium-ion cell ages, once and off-line, and write its trajectory for the bench to replay.

PyBaMM solves a single-particle model with electrolyte (SPMe) through many cycles; what is kept per age is a dozen
numbers and the open-circuit voltage. Run it as README.md says; it is never imported by the bench.
"""

import argparse
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("PYBAMM_DISABLE_TELEMETRY", "true")  # must be set before the import

import numpy as np
import pybamm  # type: ignore[import-not-found]  # in an environment of its own

TARGET = Path(__file__).resolve().parents[1] / "packseal_hil/battery/ageing"
STOICHIOMETRY_POINTS = 501
OCV_POINTS = 101
PULSE_S = 10
PULSE_C = 1.0


@dataclass(frozen=True)
class Recipe:
    """One trajectory: a parameter set, what ages in it, and how the cell is cycled."""

    name: str
    title: str
    chemistry: str
    parameters: pybamm.ParameterValues
    options: dict[str, Any]
    limits_v: tuple[float, float]
    blocks: int
    cycles_per_block: int
    sources: list[str]
    changes: dict[str, str]


def nmc(blocks: int, cycles: int) -> Recipe:
    """LG M50 21700 cell with four ageing mechanisms, OKane2022 as published but for the rates in `changes`."""
    parameters = pybamm.ParameterValues("OKane2022")
    factors = {
        "SEI solvent diffusivity [m2.s-1]": 150.0,
        "Negative electrode LAM constant proportional term [s-1]": 25.0,
        "Positive electrode LAM constant proportional term [s-1]": 25.0,
    }
    return Recipe(
        name="nmc_okane2022",
        title="NMC 811 against graphite with silicon oxide, 5 Ah 21700 cell LG M50",
        chemistry="nmc",
        parameters=parameters,
        options={
            "SEI": "solvent-diffusion limited",
            "SEI porosity change": "true",
            "lithium plating": "partially reversible",
            "lithium plating porosity change": "true",
            "particle mechanics": "swelling only",
            "loss of active material": "stress-driven",
        },
        limits_v=(2.5, 4.2),
        blocks=blocks,
        cycles_per_block=cycles,
        sources=[
            "S. O'Kane et al., Phys. Chem. Chem. Phys. 24 (2022) 7909, doi:10.1039/D2CP00417H (ageing)",
            "C.-H. Chen et al., J. Electrochem. Soc. 167 (2020) 080534, doi:10.1149/1945-7111/ab9050 (cell)",
        ],
        changes=_scale(parameters, factors),
    )


def lfp(blocks: int, cycles: int) -> Recipe:
    """A123 26650 cell of Prada2013, which has no ageing of its own: the SEI of OKane2022 on its graphite."""
    parameters = pybamm.ParameterValues("Prada2013")
    donor = pybamm.ParameterValues("OKane2022")
    borrowed = {k: v for k, v in donor.items() if "SEI" in k or k == "Bulk solvent concentration [mol.m-3]"}
    parameters.update(borrowed, check_already_exists=False)
    lam = "Negative electrode reaction-driven LAM factor [m3.mol-1]"
    parameters.update({lam: 2e-5}, check_already_exists=False)
    changes = {
        "all SEI parameters": "of OKane2022",
        lam: "2e-5, ours: graphite is lost two fifths as fast as lithium",
    }
    changes |= _scale(parameters, {"SEI solvent diffusivity [m2.s-1]": 400.0, "SEI resistivity [Ohm.m]": 0.3})
    return Recipe(
        name="lfp_prada2013",
        title="LFP against graphite, 2.3 Ah 26650 cell A123",
        chemistry="lfp",
        parameters=parameters,
        options={
            "SEI": "solvent-diffusion limited",
            "loss of active material": ("reaction-driven", "none"),
        },
        limits_v=(2.0, 3.6),
        blocks=blocks,
        cycles_per_block=cycles,
        sources=[
            "E. Prada et al., J. Electrochem. Soc. 160 (2013) A616, doi:10.1149/2.053304jes (cell)",
            "S. O'Kane et al., Phys. Chem. Chem. Phys. 24 (2022) 7909, doi:10.1039/D2CP00417H (SEI)",
        ],
        changes=changes,
    )


def _scale(parameters: pybamm.ParameterValues, factors: dict[str, float]) -> dict[str, str]:
    """Multiply parameters, so that some hundred simulated cycles show what takes years."""
    changed = {name: factor for name, factor in factors.items() if factor != 1}
    parameters.update({name: parameters[name] * factor for name, factor in changed.items()})
    return {name: f"times {factor:g}" for name, factor in changed.items()}


def simulate(recipe: Recipe) -> pybamm.Solution:
    """Cycle the cell: blocks of ageing cycles, a check with a pulse at half charge before the first and after each."""
    low, high = recipe.limits_v
    ageing = (f"Discharge at 1C until {low} V", f"Charge at 0.5C until {high} V", f"Hold at {high} V until C/50")
    check = (
        "Discharge at 0.5C for 1 hour",
        "Rest for 1 hour",
        f"Discharge at {PULSE_C:g}C for {PULSE_S} seconds (1 second period)",
        "Rest for 10 minutes",
        *ageing,
    )
    experiment = pybamm.Experiment([check, *([ageing] * recipe.cycles_per_block + [check]) * recipe.blocks])
    simulation = pybamm.Simulation(
        pybamm.lithium_ion.SPMe(recipe.options),
        parameter_values=recipe.parameters,
        experiment=experiment,
        solver=pybamm.IDAKLUSolver(),
    )
    checks = [1 + i * (recipe.cycles_per_block + 1) for i in range(recipe.blocks + 1)]
    return simulation.solve(initial_soc=1, save_at_cycles=checks, calc_esoh=True)


def half_cells(recipe: Recipe) -> dict[str, dict[str, list[float]]]:
    """Tabulate both electrodes' open-circuit potential (V against lithium) over their stoichiometry."""
    # Denser towards both ends, where potentials are steep.
    x = 0.5 - 0.4998 * np.cos(np.linspace(0, np.pi, STOICHIOMETRY_POINTS))
    tables = {}
    for name in ("Negative", "Positive"):
        potential = recipe.parameters[f"{name} electrode OCP [V]"]
        volts = recipe.parameters.evaluate(potential(pybamm.Array(x))).ravel()
        tables[name.lower()] = {"stoichiometry": _round(x, 6), "volts": _round(volts, 5)}
    return tables


def points(recipe: Recipe, solution: pybamm.Solution) -> list[dict[str, Any]]:
    """Read the checks: what has been lost, where the electrodes' windows lie now, and what a pulse says."""
    summary = solution.summary_variables
    found: list[dict[str, Any]] = []
    for i, cycle in enumerate(solution.cycles):
        if cycle is None or i % (recipe.cycles_per_block + 1):
            continue
        window = {k: float(summary[f"{k[0]}_{k[1:]}"][i]) for k in ("x0", "x100", "y0", "y100")}
        pulse = cycle.steps[2]
        rest_v = float(cycle.steps[1]["Terminal voltage [V]"].entries[-1])
        current_a = float(pulse["Current [A]"].entries[-1])
        found.append(
            {
                "cycles": i,
                "days": round(float(summary["Time [h]"][i]) / 24, 2),
                "throughput_ah": round(float(summary["Throughput capacity [A.h]"][i]), 2),
                "capacity_ah": round(float(summary["Capacity [A.h]"][i]), 5),
                "lithium_loss_pct": round(float(summary["Loss of lithium inventory [%]"][i]), 3),
                "negative_loss_pct": round(float(summary["Loss of active material in negative electrode [%]"][i]), 3),
                "positive_loss_pct": round(float(summary["Loss of active material in positive electrode [%]"][i]), 3),
                "window": {k: round(v, 6) for k, v in window.items()},
                "pulse_ohm": round((rest_v - float(pulse["Terminal voltage [V]"].entries[-1])) / current_a, 6),
                "ocv_v": _ocv(window, recipe.parameters),
            }
        )
    return found


def _ocv(window: dict[str, float], parameters: pybamm.ParameterValues) -> list[float]:
    """Return the open-circuit voltage from empty to full, from PyBaMM's own functions and not from the tables."""
    soc = np.linspace(0, 1, OCV_POINTS)
    x = window["x0"] + soc * (window["x100"] - window["x0"])
    y = window["y0"] + soc * (window["y100"] - window["y0"])
    negative = parameters.evaluate(parameters["Negative electrode OCP [V]"](pybamm.Array(x)))
    positive = parameters.evaluate(parameters["Positive electrode OCP [V]"](pybamm.Array(y)))
    return _round((positive - negative).ravel(), 4)


def _round(values: Any, digits: int) -> list[float]:
    return [round(float(v), digits) for v in values]


def document(recipe: Recipe) -> dict[str, Any]:
    """Run it and return what is written."""
    solution = simulate(recipe)
    return {
        "name": recipe.name,
        "title": recipe.title,
        "chemistry": recipe.chemistry,
        "provenance": {
            "tool": f"PyBaMM {pybamm.__version__} (BSD-3-Clause), SPMe, hil/ageing/prepare.py",
            "sources": recipe.sources,
            "options": {k: str(v) for k, v in recipe.options.items()},
            "changes": recipe.changes,
            "cycling": "25 degC; 1C discharge, 0.5C charge and hold until C/50; "
            f"the pulse is {PULSE_C:g}C for {PULSE_S} s at half of the rated charge",
        },
        "limits_v": list(recipe.limits_v),
        "half_cells": half_cells(recipe),
        "points": points(recipe, solution),
    }


def main() -> None:
    """Write the trajectories that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=("nmc", "lfp"), help="one of them; without it both")
    parser.add_argument("--blocks", type=int, default=12, help="points after the first (default: %(default)s)")
    parser.add_argument("--cycles", type=int, default=50, help="cycles between two points (default: %(default)s)")
    parser.add_argument("--to", type=Path, default=TARGET, help="folder to write to (default: %(default)s)")
    args = parser.parse_args()
    pybamm.set_logging_level("ERROR")
    for make in (nmc, lfp):
        if args.only in (None, make.__name__):
            recipe = make(args.blocks, args.cycles)
            path = args.to / f"{recipe.name}.json"
            path.write_text(json.dumps(document(recipe), separators=(",", ":")) + "\n")
            sys.stdout.write(f"{path}: {path.stat().st_size} bytes\n")


if __name__ == "__main__":
    main()
