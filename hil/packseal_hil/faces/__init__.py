"""Faces: how a simulated battery speaks, and the buses it speaks on.

`slcan`, `recordings`, `bluetooth` and `modbus_road` are modules of their own, because each needs what the
others do without.
"""

from packseal_hil.faces.can_face import CanFace
from packseal_hil.faces.conduct import Conduct, Manner
from packseal_hil.faces.uds_face import UdsFace
from packseal_hil.faces.wired import SecondDevice, WiredBattery

__all__ = ["CanFace", "Conduct", "Manner", "SecondDevice", "UdsFace", "WiredBattery"]
