"""Columns: the frames of one page for many moments at once; the same bytes as `Page.frames`, many times as fast."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from packseal.core.quantities import Channel
from packseal_hil.faces.can_face import CLASSIC_BYTES, Page
from packseal_hil.faces.j1939 import FILLER
from packseal_hil.faces.patterns import FieldWriter

Numbers = NDArray[np.float64]
Bytes = NDArray[np.uint8]
Patterns = NDArray[np.uint64]

EXACT_BITS = 52
"""Wider fields do not fit into a float's mantissa; they go one by one."""


def is_simple(page: Page) -> bool:
    """Whether the page is one classic frame."""
    return page.length <= CLASSIC_BYTES


def data_of(page: Page, columns: Mapping[Channel, Numbers], moments: int) -> Bytes:
    """Return the data of a simple page, one row per moment; a channel without a column is "not available"."""
    little, big = np.zeros(moments, np.uint64), np.zeros(moments, np.uint64)
    for bits, number in page.selectors:
        place = big if bits.big_endian else little
        place |= np.uint64((number & bits.mask) << bits.shift)
    for channel, writer in page.fields:
        bits = writer.field.bits
        place = big if bits.big_endian else little
        place |= _patterns(writer, columns.get(channel), moments) << np.uint64(bits.shift)
    forwards = little.astype("<u8").view(np.uint8).reshape(moments, 8)[:, : page.length]
    backwards = big.astype(">u8").view(np.uint8).reshape(moments, 8)[:, 8 - page.length :]
    data = forwards | backwards
    if page.is_group and page.length < CLASSIC_BYTES:
        filler = np.full((moments, CLASSIC_BYTES - page.length), FILLER, np.uint8)
        return np.hstack((data, filler))
    return data


def _patterns(writer: FieldWriter, values: Numbers | None, moments: int) -> Patterns:
    field = writer.field
    bits, line = field.bits, field.line
    if values is None:
        return np.full(moments, writer.unknown, np.uint64)
    if bits.is_float or line.encoding is not None or bits.length > EXACT_BITS:
        return np.array([writer.pattern(value) for value in values.tolist()], np.uint64)
    unknown = np.isnan(values)
    numbers = ((values - line.offset) / line.factor - bits.offset) / bits.scale
    numbers[unknown] = 0
    raws = np.clip(np.rint(numbers), writer.least, writer.greatest).astype(np.int64)
    for sentinel in field.sentinels:
        raws[raws == sentinel] = writer.beside(sentinel)
    patterns = raws.view(np.uint64) & np.uint64(bits.mask)
    patterns[unknown] = writer.unknown
    return patterns


def columns_of(channels: Sequence[Channel], rows: Sequence[Sequence[float]]) -> dict[Channel, Numbers]:
    """Return one column per channel."""
    table = np.array(rows, np.float64).T
    return dict(zip(channels, np.ascontiguousarray(table), strict=True))
