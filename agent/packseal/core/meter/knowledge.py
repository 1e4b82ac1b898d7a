"""Knowledge: what the capacity estimator has learnt of a battery, for the other families."""

from packseal.core.capacity import Estimator


class Knowledge:
    """Capacity and open-circuit curve of one battery; None for what is not known. Never a declared or generic value."""

    def __init__(self, estimator: Estimator | None) -> None:
        self._estimator = estimator

    def capacity_ah(self) -> tuple[float, float] | None:
        """Return the capacity and its standard uncertainty."""
        return None if self._estimator is None else self._estimator.capacity_ah()

    def ocv_v(self, soc: float) -> float | None:
        """Return a cell's open-circuit voltage at a state of charge of 0 to 1."""
        return None if self._estimator is None else self._estimator.curve.ocv_v(soc)

    def soc_of(self, ocv_v: float) -> tuple[float, float] | None:
        """Return the state of charge of an open-circuit voltage, and the slope there in V per unit of charge."""
        if self._estimator is None:
            return None
        found = self._estimator.curve.learnt_soc_of(ocv_v)
        return None if found is None else (found.soc, found.slope)
