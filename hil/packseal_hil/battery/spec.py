"""What kind of battery a scenario wants: the [battery] table of its file. Every field has a default."""

from math import isfinite
from typing import Annotated, Literal

import msgspec

Positive = Annotated[float, msgspec.Meta(gt=0)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
NotNegative = Annotated[float, msgspec.Meta(ge=0)]
Percent = Annotated[float, msgspec.Meta(ge=0, le=100)]


class Finite(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table whose numbers are numbers: TOML knows nan and inf too."""

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, float) and not isfinite(value):
                raise ValueError(f"{name} must be a finite number")


class Spread(Finite, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How unlike the cells are: standard deviations of normal distributions, cut at three of them."""

    capacity: NotNegative = 0.0
    """Relative (0.01 = 1 %)."""
    resistance: NotNegative = 0.0
    """Relative."""
    self_discharge: NotNegative = 0.0
    """Relative, at most 0.33, so that no cell charges itself."""
    soc_pct: NotNegative = 0.0
    """Of the state of charge at the beginning, in points."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("capacity", "resistance", "self_discharge"):
            if getattr(self, name) > 0.33:  # noqa: PLR2004  # a third: three deviations below the mean is zero
                raise ValueError(f"spread.{name} is relative and at most 0.33")


class Sensor(Finite, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One kind of sensor: said = round((true * gain + offset + noise) / step) * step. The default is a perfect one."""

    gain: float = 1.0
    offset: float = 0.0
    """In the sensor's unit: A, V or °C."""
    step: NotNegative = 0.0
    """Quantisation in the sensor's unit; 0 = none."""
    noise: NotNegative = 0.0
    """Standard deviation of white noise in the sensor's unit."""
    dropouts_per_h: NotNegative = 0.0
    """How often the sensor falls silent, on average; the channel is then absent from what the BMS says."""
    dropout_s: Positive = 5.0
    """How long it then stays silent."""


class Sensors(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What stands between the battery and its BMS."""

    current: Sensor = msgspec.field(default_factory=Sensor)
    pack_voltage: Sensor = msgspec.field(default_factory=Sensor)
    cell_voltage: Sensor = msgspec.field(default_factory=Sensor)
    temperature: Sensor = msgspec.field(default_factory=Sensor)
    temperature_count: Annotated[int, msgspec.Meta(ge=1, le=64)] = 8
    """Temperature sensors, spread evenly over the cells."""


class Bms(Finite, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the battery management system behaves: what it believes, what it claims, what it prevents."""

    soc_step_pct: NotNegative = 0.0
    """Resolution of the state of charge it states: 1 = whole percents; 0 = as fine as it is counted."""
    soc_drift_pct_per_day: float = 0.0
    """What its count of the state of charge gains each day, beside what its current sensor's errors do."""
    soc_start_error_pct: float = 0.0
    """Its first state of charge less the true one, in points."""
    soh: Annotated[float, msgspec.Meta(ge=0, le=200)] | Literal["truth"] = "truth"
    """The state of health that it claims in %: the true one, or a number, whatever the truth."""
    calibrates: bool = True
    """Whether its state of charge jumps to 100 % at a full charge and to 0 % at the cut-off."""
    protects: bool = True
    """Whether it limits the current so that no cell leaves its operating window. Without, a load can do harm."""
    balances: bool = True
    """Whether it bleeds the higher cells near the end of a charge."""


class BatterySpec(Finite, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One simulated battery. Refused values raise msgspec.ValidationError when it is read from a file."""

    chemistry: Literal["nmc", "lfp"] = "nmc"
    """NMC 811 against graphite with silicon, or LFP against graphite."""
    category: Literal["ev", "lmt", "stationary", "industrial"] = "ev"
    """The category of Regulation (EU) 2023/1542 that its manufacturer declares."""
    cells: Annotated[int, msgspec.Meta(ge=1, le=400)] = 96
    """Cells in series; a cell is a parallel group seen as one."""
    capacity_ah: Positive = 60.0
    """Rated capacity: that of a new cell of mean capacity, discharged slowly between its voltage limits."""
    load: str = "commuter_day"
    """A built-in load, or the name of a file of load_profiles without `.csv.gz` (see `loads.names()`)."""
    load_starts_h: NotNegative = 0.0
    """Hours into the load at which the simulation begins."""
    start_soc_pct: Percent | None = None
    """State of charge at the beginning; without it, what the load begins with."""
    ambient_c: Annotated[float, msgspec.Meta(ge=-60, le=90)] = 20.0
    """Ambient temperature, and the cells' at the beginning. A load file with temperatures overrides it."""
    ambient_swing_k: NotNegative = 0.0
    """Half of the daily swing of the ambient temperature: a sine, coldest 3 h and warmest 15 h into the day."""
    trajectory: str = ""
    """Name of the ageing trajectory (see `ageing.names()`); without it the one of the chemistry."""
    age: Share = 0.0
    """How far along its ageing trajectory the battery is: 0 = new, 1 = the trajectory's end."""
    age_per_day: NotNegative = 0.0
    """How much further it gets along the trajectory each simulated day, for fast motion; 0 = not at all."""
    self_discharge_pct_per_month: NotNegative = 2.0
    """Of the rated capacity in 30 days, of a new mean cell at 25 °C."""
    spread: Spread = msgspec.field(default_factory=Spread)
    sensors: Sensors = msgspec.field(default_factory=Sensors)
    bms: Bms = msgspec.field(default_factory=Bms)
    step_s: Annotated[float, msgspec.Meta(gt=0, le=10)] = 1.0
    """The longest step of the simulation."""
