"""What the tracker remembers of one battery."""

from dataclasses import dataclass, field

CHARGING, DISCHARGING, RESTING = 1, -1, 0


@dataclass(slots=True)
class TrackerState:
    """Running sums, the present stretch of charge, discharge or rest, and this battery's habits."""

    last_ns: int | None = None
    last_a: float = 0.0
    last_v: float = 0.0
    last_low_v: float = 0.0
    last_high_v: float = 0.0
    charge_as: float = 0.0
    moved_as: float = 0.0
    blurred: float = 0.0
    """Sum of the squares of what the current changed by between two samples times their distance."""
    heated_as: float = 0.0
    heat: float = 0.0
    warm_c: float | None = None
    elapsed_s: float = 0.0
    gaps_s: float = 0.0
    tick_s: float = 0.0
    ticked_as: float = 0.0
    ticked_low_v: float = 0.0
    passed_as: float | None = None
    """`moved_as` when the lowest cell passed the cut-off in this discharge; None while it is above."""
    passed_sd_as: float = 0.0
    mode: int = RESTING
    rested_v: float | None = None
    """A cell's voltage at rest right before the newest discharge, None where it did not begin out of rest."""
    since_s: float = 0.0
    since_as: float = 0.0
    load_a: float = 0.0
    peak_a: float = 0.0
    top_v: float = 0.0
    smooth_v: float = 0.0
    smooth_a: float = 0.0
    trail: list[tuple[float, float]] = field(default_factory=list)
    steady_a: float = 0.0
    steady_as: float = 0.0
    steady_told: bool = True
    track_mode: int = RESTING
    track: list[tuple[float, float, float]] = field(default_factory=list)
    efficiency: float = 0.997
    full_v: float | None = None
    tail_a: float | None = None
    empty_a: float | None = None
    cut_off_v: float | None = None
    """Where the lowest cell was when steep discharges ended, and how many of them in a row ended alike."""
    cut_offs: int = 0
