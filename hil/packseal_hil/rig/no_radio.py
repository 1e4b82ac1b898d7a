"""NoRadio: the Bluetooth of a rig that has none of the bench's own."""

from collections.abc import Mapping

from packseal_hil.rig.protocols import LivingBattery, RadioFault, RigError, Speaker


class NoRadio:
    """A `Radio` that is not there. `instead`: what to do about it."""

    def __init__(self, instead: str) -> None:
        self._instead = instead

    async def on(self) -> Mapping[str, str]:
        """Raise RigError."""
        raise RigError(f"this bench has no Bluetooth of its own: {self._instead}")

    def battery(self, profile: str, battery: LivingBattery) -> Speaker:  # noqa: ARG002 - of the protocol
        """Raise RigError."""
        raise RigError(f"no {profile} can be put on the air here: {self._instead}")

    async def fault(self, fault: RadioFault) -> None:
        """Raise RigError."""
        raise RigError(f"the air here cannot be made {fault}: {self._instead}")
