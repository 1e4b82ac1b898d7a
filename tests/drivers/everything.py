"""A DBC of everything that decoding knows, and a profile of it."""

from pathlib import Path

from packseal_drivers.profile import ProfileFile, load

DBC = """VERSION ""

BU_: BMS

BO_ 2147484000 Extended: 8 BMS
 SG_ BeOdd : 5|13@0- (0.25,-3) [0|0] "" BMS
 SG_ LeOdd : 17|11@1- (2,5) [0|0] "" BMS
 SG_ Flag : 40|1@1+ (1,0) [0|0] "" BMS
 SG_ Falling : 48|12@1- (-0.5,1) [0|0] "" BMS

BO_ 512 Floats: 24 BMS
 SG_ F32 : 0|32@1- (1,0) [0|0] "" BMS
 SG_ F64 : 39|64@0- (2,1) [0|0] "" BMS
 SG_ F16 : 96|16@1- (1,0) [0|0] "" BMS
 SG_ Odd : 117|32@1- (0.5,0) [0|0] "" BMS

BO_ 513 Nested: 8 BMS
 SG_ Outer M : 0|4@1+ (1,0) [0|0] "" BMS
 SG_ Inner m1M : 4|4@1+ (1,0) [0|0] "" BMS
 SG_ InSome m0 : 8|16@1- (0.1,0) [0|0] "" BMS
 SG_ InTwo m2 : 23|16@0+ (0.1,0) [0|0] "" BMS
 SG_ InMany m7 : 40|16@1- (1,0) [0|0] "" BMS
 SG_ Always : 56|8@1- (1,0) [0|0] "" BMS

BO_ 514 Wide: 64 BMS
 SG_ Far : 500|10@1+ (1,0) [0|0] "" BMS
 SG_ Unsigned64 : 64|64@1+ (1,0) [0|0] "" BMS
 SG_ Signed64 : 135|64@0- (1,0) [0|0] "" BMS
 SG_ Byte : 200|8@1- (1,0) [0|0] "" BMS
 SG_ Word : 215|16@0- (0.01,-40) [0|0] "" BMS
 SG_ Long : 239|32@0+ (3,0) [0|0] "" BMS

SIG_VALTYPE_ 512 F32 : 1;
SIG_VALTYPE_ 512 F64 : 2;
SIG_VALTYPE_ 512 F16 : 1;
SIG_VALTYPE_ 512 Odd : 1;
SG_MUL_VAL_ 513 Inner Outer 1-1;
SG_MUL_VAL_ 513 InSome Outer 0-0, 3-5;
SG_MUL_VAL_ 513 InTwo Inner 2-2;
SG_MUL_VAL_ 513 InMany Inner 7-9;
"""

LINES = (
    ("Extended", "BeOdd", "factor = -2\noffset = 1\nminimum = -900\nmaximum = 900\nnot_available = [-4096]"),
    ("Extended", "LeOdd", "not_available = [1023, 0]"),
    ("Extended", "Flag", ""),
    ("Extended", "Falling", "minimum = -100\nmaximum = 400.25"),
    ("Floats", "F32", "minimum = -1e6\nmaximum = 1e6\nnot_available = [0x7fc00001]"),
    ("Floats", "F64", ""),
    ("Floats", "F16", "factor = 3"),
    ("Floats", "Odd", "reduce = 'mean'"),
    ("Nested", "InSome", "maximum = 1000"),
    ("Nested", "InTwo", "not_available = [0xffff]"),
    ("Nested", "InMany", "minimum = -5"),
    ("Nested", "Always", "not_available = [0x80]"),
    ("Wide", "Far", "maximum = 1000"),
    ("Wide", "Unsigned64", ""),
    ("Wide", "Signed64", "factor = 0.5"),
    ("Wide", "Byte", ""),
    ("Wide", "Word", "minimum = -60\nmaximum = 150"),
    ("Wide", "Long", "minimum = 1"),
)

HEAD = 'name = "test/everything"\ntitle = "Everything"\nsource = "made up"\ndbc = "everything.dbc"\n'


def write(directory: Path) -> ProfileFile:
    (directory / "everything.dbc").write_text(DBC)
    tables = [
        f'[[signal]]\nmessage = "{message}"\nsignal = "{signal}"\nquantity = "cell_voltage_v"\nindex = {i}\n{more}\n'
        for i, (message, signal, more) in enumerate(LINES)
    ]
    (directory / "everything.toml").write_text(HEAD + "\n".join(tables))
    return load("everything.toml", directory)
