"""A BMS of 20 messages and 99 signals, made up: both byte orders, odd widths, signed fields, multiplexed cells.

The layout is that of a talkative pack: electrical values, limits, extremes, counters, faults, temperatures, identity.
The profile maps every signal, so that decoders have as much to do as the peer's, which decodes all of a message.
"""

from itertools import count

FIRST_ID = 0x100
MULTIPLEXED_ID = 0x109
MESSAGE_BYTES = 8
GROUPS, CELLS_PER_GROUP = 8, 3
WIDTHS = (
    *((16, 16, 10, 10, 4, 4, 4), (16, 16, 16, 16), (16, 16, 8, 8, 16), (8, 8, 8, 8, 8, 8), (32, 32), (32, 32)),
    *((16, 16, 16, 16), (1, 1, 1, 1, 1, 1, 1, 1), (20, 2, 1, 3, 16, 16)),
    *((8, 8, 8), (8, 8, 8), (8, 8, 8), (8, 8, 8), (12, 12, 12, 12), (16, 16, 10, 10)),
    *((32, 32), (32, 32), (24, 8, 16), (24, 24, 8)),
)
"""Field widths in bits of each message that is not multiplexed."""

SCALES = ("0.1,0", "0.001,0", "1,0", "0.01,0", "0.5,-40")
PROFILE_HEAD = """\
name = "bench/pack"
title = "Made up for measuring"
source = "bench/pack_dbc.py"
dbc = "pack.dbc"
"""
PROFILE_SIGNAL = """
[[signal]]
message = "{message}"
signal = "{signal}"
quantity = "cell_voltage_v"
index = {index}
"""


def write_dbc() -> str:
    """Return the DBC file."""
    ids = (i for i in count(FIRST_ID) if i != MULTIPLEXED_ID)
    lines = ['VERSION ""', "", "BU_: BMS", ""]
    for number, widths in enumerate(WIDTHS):
        lines += [f"BO_ {next(ids)} M{number}: {MESSAGE_BYTES} BMS", *_signals(number, widths), ""]
    lines += [f"BO_ {MULTIPLEXED_ID} Cells: {MESSAGE_BYTES} BMS", ' SG_ Group M : 0|8@1+ (1,0) [0|0] "" GW']
    lines += [
        f' SG_ Cell{group * CELLS_PER_GROUP + i} m{group} : {8 + 16 * i}|16@1+ (0.0001,0) [0|0] "V" GW'
        for group in range(GROUPS)
        for i in range(CELLS_PER_GROUP)
    ]
    return "\n".join([*lines, ""])


def write_profile() -> str:
    """Return a profile that maps every signal; what they mean does not matter here."""
    named = [(f"M{m}", f"S{m}_{s}") for m, widths in enumerate(WIDTHS) for s in range(len(widths))]
    named += [("Cells", "Group"), *(("Cells", f"Cell{i}") for i in range(GROUPS * CELLS_PER_GROUP))]
    signals = (PROFILE_SIGNAL.format(message=m, signal=s, index=i) for i, (m, s) in enumerate(named))
    return PROFILE_HEAD + "".join(signals)


def _signals(message: int, widths: tuple[int, ...]) -> list[str]:
    big_endian = message % 3 == 2  # every third message
    lines, place = [], 0
    for number, width in enumerate(widths):
        # A DBC names a big-endian field's most significant bit, counted from the right within its byte.
        start = 8 * (place // 8) + 7 - place % 8 if big_endian else place
        sign = "-" if (message + number) % 4 == 1 and width > 1 else "+"
        scale = SCALES[(message + number) % len(SCALES)] if width > 1 else "1,0"
        lines.append(f' SG_ S{message}_{number} : {start}|{width}@{int(not big_endian)}{sign} ({scale}) [0|0] "" GW')
        place += width
    return lines
