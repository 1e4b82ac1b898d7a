"""Words of which only some are allowed: an error lists them."""

import enum
from typing import Literal

import msgspec
import pytest

from packseal.core.errors import ConfigError
from packseal.core.toml_error import decode_toml


class Need(enum.StrEnum):
    CAN = "can"
    DISK = "disk"


class Shape(msgspec.Struct, forbid_unknown_fields=True):
    loss: float


class Step(msgspec.Struct, forbid_unknown_fields=True):
    network: Literal["up", "down"] | Shape | None = None


class File(msgspec.Struct, forbid_unknown_fields=True):
    needs: tuple[Need, ...] = ()
    run: Literal["commit", "long"] = "long"
    step: tuple[Step, ...] = ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('needs = ["can", "wifi"]', "f.toml, line 1: needs[1]: Invalid enum value 'wifi'; allowed are can, disk"),
        ('\nrun = "never"', "f.toml, line 2: run: Invalid enum value 'never'; allowed are commit, long"),
        (
            '[[step]]\nnetwork = "up"\n[[step]]\nnetwork = "off"',
            "f.toml, line 4: step[1].network: Invalid enum value 'off'; allowed are down, up",
        ),
        (
            "[[step]]\nnetwork = { los = 3 }",
            "f.toml, line 2: step[0].network: Object contains unknown field `los`; allowed are loss",
        ),
    ],
)
def test_what_is_allowed_is_listed(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        decode_toml(text.encode(), File, "f.toml")
    assert str(caught.value) == said
