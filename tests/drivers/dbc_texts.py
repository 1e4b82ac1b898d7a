"""A clean DBC file, and what cantools and the doctor make of a text."""

from pathlib import Path
from typing import Any

import cantools.database

from packseal.core.errors import ConfigError
from packseal_drivers.dbc_doctor import Examined, examine

HEAD = 'VERSION ""\n\nNS_ :\n  NS_DESC_\n  CM_\n\nBS_:\n\nBU_: BMS\n\n'
BODY = """BO_ 100 Pack: 8 BMS
 SG_ Voltage : 0|16@1+ (0.1,0) [0|1000] "V" BMS
 SG_ Current : 23|16@0- (0.01,-5) [-300|300] "A" BMS,Vector__XXX

BO_ 2147484048 Cells: 8 BMS
 SG_ Group M : 0|8@1+ (1,0) [0|0] "" BMS
 SG_ Cell_1 m0 : 8|32@1- (1,0) [0|0] "" BMS
 SG_ Cell_2 m1 : 8|16@1+ (0.001,0) [0|0] "" BMS

"""
TAIL = """CM_ SG_ 100 Voltage "the pack's, measured
at the \\"terminals\\"";
BA_DEF_ SG_ "SystemSignalLongSymbol" STRING ;
BA_DEF_DEF_ "SystemSignalLongSymbol" "";
BA_ "SystemSignalLongSymbol" SG_ 100 Current "CurrentOfTheWholePack";
VAL_ 100 Voltage 0 "none" 65535 "unknown" ;
SIG_VALTYPE_ 2147484048 Cell_1 : 1;
SG_MUL_VAL_ 2147484048 Cell_2 Group 1-2, 5-5;
"""
CLEAN = HEAD + BODY + TAIL


def meant(database: Any) -> list[Any]:
    """Everything that says where and how a value lies."""
    return [
        (m.name, m.frame_id, m.is_extended_frame, m.length, m.signal_tree, sorted(map(place, m.signals)))
        for m in database.messages
    ]


def place(signal: Any) -> tuple[Any, ...]:
    conversion = signal.conversion
    return (
        signal.name, signal.start, signal.length, signal.byte_order, signal.is_signed, conversion.is_float,
        conversion.scale, conversion.offset, str(signal.multiplexer_ids), signal.is_multiplexer,
    )  # fmt: skip


def examined(text: str | bytes) -> Examined:
    return examine(text if isinstance(text, bytes) else text.encode(), Path("a.dbc"))


def answer(text: str | bytes) -> Examined | str:
    """Return what was understood, or the words by which it was refused."""
    try:
        return examined(text)
    except ConfigError as error:
        return str(error)


def cantools_of(text: str) -> Any:
    return cantools.database.load_string(text, "dbc", strict=False)
