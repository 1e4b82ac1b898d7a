"""J1939: a profile's parameter groups as a battery broadcasts them (SAE J1939-21), one frame or a BAM transfer."""

from collections.abc import Iterator

from packseal_drivers.decoding import answer
from packseal_drivers.decoding.codes import GROUPS
from packseal_drivers.decoding.layout import MessageLayout
from packseal_drivers.framing.j1939 import (
    BAM,
    CLASSIC_BYTES,
    EFF_FLAG,
    GLOBAL,
    MANAGEMENT,
    PACKET_BYTES,
    PDU2,
    TRANSFER,
    split,
)
from packseal_drivers.profile import ProfileFile
from packseal_hil.rig.protocols import CanFrame

PRIORITY, TRANSFER_PRIORITY = 6, 7
"""SAE J1939-21 §5.2.1 and §5.10: the default of data, and that of transfers of several packets."""
SOURCE = 0xF3
"""The address of the battery pack, SAE J1939 digital annex, table B2 (243: battery pack monitor)."""
FILLER = 0xFF
"""Bytes that say nothing are all ones, SAE J1939-71 §5.1.4."""


def groups(file: ProfileFile) -> Iterator[tuple[int, MessageLayout]]:
    """Yield the address and the layout of every group that the profile names; those asked for are broadcast, too."""
    known = {split(address).pgn: address for address in (file.profile.identify.ids if file.profile.identify else ())}
    for layout in answer.read(file):
        number = layout.address - GROUPS
        if not 0 <= number < len(file.profile.pgn):
            continue
        table = file.profile.pgn[number]
        source = SOURCE if table.source is None else table.source
        to = GLOBAL if table.pgn >> 8 & 0xFF < PDU2 else 0
        yield known.get(table.pgn, EFF_FLAG | PRIORITY << 26 | table.pgn << 8 | to << 8 | source), layout


def frames(address: int, data: bytes) -> list[CanFrame]:
    """Return the frames of one group: one of 8 bytes, or the announcement of a broadcast transfer and its packets."""
    if len(data) <= CLASSIC_BYTES:
        return [CanFrame(address, data.ljust(CLASSIC_BYTES, bytes((FILLER,))))]
    packets = [data[at : at + PACKET_BYTES] for at in range(0, len(data), PACKET_BYTES)]
    head, lane = split(address), EFF_FLAG | TRANSFER_PRIORITY << 26 | GLOBAL << 8 | address & 0xFF
    size, pgn = len(data).to_bytes(2, "little"), head.pgn.to_bytes(3, "little")
    announced = CanFrame(lane | MANAGEMENT << 8, bytes((BAM, *size, len(packets), FILLER, *pgn)))
    return [announced] + [
        CanFrame(lane | TRANSFER << 8, (bytes((number,)) + packet).ljust(CLASSIC_BYTES, bytes((FILLER,))))
        for number, packet in enumerate(packets, 1)
    ]
