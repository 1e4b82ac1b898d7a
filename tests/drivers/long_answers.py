"""An answer of several frames, and the profile that reads it."""

from packseal_drivers import profile
from packseal_drivers.decoding import compile_decoders

VALUES = profile.load("hyundai/kona_uds")
ANSWER = bytes.fromhex("620105003FFF90000000000000000014918E012927465000015013BB03E800000000BB0000CBCB01001300000000")
MADE = compile_decoders(VALUES)


def cut(payload: bytes) -> list[bytes]:
    """Return the frames of a long payload, as ISO 15765-2 has them, padded as Hyundai does."""
    frames = [bytes((0x10 | len(payload) >> 8, len(payload) & 0xFF)) + payload[:6]]
    for number, start in enumerate(range(6, len(payload), 7), 1):
        frames.append(bytes((0x20 | number % 16,)) + payload[start : start + 7].ljust(7, b"\xaa"))
    return frames
