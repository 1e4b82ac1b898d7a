"""Models: [[model]] of a profile, the batteries that one can buy and that this profile reads, each with its own proof.

The docstrings are the reference of whoever writes a profile.
"""

from typing import Literal

import msgspec

Checked = Literal["recording", "simulator", "paper"]
"""On recorded frames of a real BMS, against a simulator, or only by documents."""


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[[model]]: one row of the table of supported batteries, for a model or family that somebody would look for."""

    name: str
    source: str
    """Which document, program or recording says that this model speaks so."""
    checked: Checked = "paper"
    """How well it is checked that this very model does; others of the profile may be better off."""

    def __post_init__(self) -> None:
        if not self.name.strip() or not self.source.strip():
            raise ValueError("a model needs its name, and the source that says that it speaks so")
