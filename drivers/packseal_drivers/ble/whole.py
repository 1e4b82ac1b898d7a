"""Decoders for messages whose framer has already held their length against what they say of it."""

from dataclasses import replace
from typing import Any

from packseal_drivers.decoding import SHORT, Decode, Decoders, Flag


def lenient(decoders: Decoders) -> Decoders:
    """Return decoders to which fewer cells or sensors than the profile has room for are no short message."""
    return replace(decoders, answers={address: _lenient(decode) for address, decode in decoders.answers.items()})


def _lenient(decode: Decode) -> Decode:
    def decoded(data: bytes, slots: list[Any], flag: Flag) -> int | None:
        trouble = decode(data, slots, flag)
        return None if trouble == SHORT else trouble

    return decoded
