"""Bands: which fault lasted from when to when, read off the steps as they are done."""

from packseal_hil.rig.protocols import BusFault, LineFault, RadioFault
from packseal_hil.rig.shape import CLEAR, Shape
from packseal_hil.scenario.schema import ClockStep, Step
from packseal_hil.story import Band

WELL = {
    "bus": (BusFault.NONE,),
    "babble": (0,),
    "radio": (RadioFault.NONE,),
    "line": (LineFault.NONE,),
    "network": ("up", CLEAR),
    "disk": ("free", "thaw"),
    "power": ("on",),
    "broker": ("start", "restart"),
    "sink": ("start", "restart"),
    "agent": ("start",),
    "second": ("kill",),
}
"""After these nothing is wrong any more with that part."""


def title(step: Step) -> str:
    """Return in words what a step does."""
    done: object = getattr(step, step.action)
    match done:
        case Shape(loss_pct=loss, delay_ms=delay, duplicate_pct=twice):
            words = [f"{loss:g} % lost"] * bool(loss) + [f"{delay:g} ms late"] * bool(delay)
            words += [f"{twice:g} % twice"] * bool(twice)
            return f"network: {', '.join(words) or 'mended'}"
        case ClockStep(by_s=by_s, to_s=to_s):
            return f"clock: set to {to_s:g} s" if by_s is None else f"clock: {by_s:+g} s"
        case int():
            return f"bus: {done} foreign frames/s"
    return f"{step.action}: {done}"


class Bands:
    """Takes the steps and gives the bands."""

    def __init__(self) -> None:
        self.done: list[Band] = []
        self._open: dict[str, tuple[str, float]] = {}

    def take(self, step: Step, from_s: float, to_s: float) -> None:
        """Account for a step that took from `from_s` to `to_s`."""
        action = step.action
        value: object = getattr(step, action)
        opened = self._open.pop(action, None)
        if opened is not None:
            self.done.append(Band(opened[0], opened[1], to_s))
        if action == "clock" or value in ("copy", "restart"):
            self.done.append(Band(title(step), from_s, to_s))
        elif value not in WELL[action]:
            self._open[action] = title(step), from_s

    def add(self, title: str, from_s: float, to_s: float) -> None:
        """Add one that no step has made."""
        self.done.append(Band(title, from_s, to_s))

    def end(self, at_s: float) -> list[Band]:
        """Close what is open and return all, in the order of their beginnings."""
        self.done += [Band(name, from_s, at_s) for name, from_s in self._open.values()]
        self._open.clear()
        return sorted(self.done, key=lambda band: band.from_s)
