"""DBC doctor: what cantools rejects is loaded where that is safe, and told by line; what must be guessed is refused."""

import codecs
import random

import pytest
from cantools.database.errors import Error
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.drivers.dbc_texts import BODY, CLEAN, HEAD, answer, cantools_of, examined, meant

from packseal.core.errors import ConfigError
from packseal_drivers import profile
from packseal_drivers.dbc_doctor import Examined, examine


def is_rejected(text: str | bytes) -> bool:
    """Whether cantools raises, or silently has fewer signals than the file."""
    decoded = text if isinstance(text, str) else text.decode("cp1252", errors="replace")
    try:
        return len(meant(cantools_of(decoded))) != 2 or meant(cantools_of(decoded)) != meant(cantools_of(CLEAN))
    except Error:
        return True


def test_a_clean_file_means_what_cantools_says_and_has_no_finding() -> None:
    found = examined(CLEAN)
    assert meant(found.database) == meant(cantools_of(CLEAN))
    assert found.findings == ()
    names = {s.name for m in found.database.messages for s in m.signals}
    assert "CurrentOfTheWholePack" in names


@pytest.mark.parametrize("name", [name for name in profile.names() if profile.load(name).dbc])
def test_every_dbc_that_comes_along_is_clean(name: str) -> None:
    file = profile.load(name)
    found = examine(file.dbc, file.dbc_path)
    assert meant(found.database) == meant(cantools_of(file.dbc.decode("cp1252")))
    assert found.findings == ()


REJECTED_AND_REPAIRED = [
    ("no BS_ and BU_", CLEAN.replace("BS_:\n", "").replace("BU_: BMS\n", ""), 1, "section BS_ and BU_ is missing"),
    ("orphan VAL_", CLEAN + 'VAL_ 100 Power 0 "off" ;\n', 28, "VAL_ about signal Power of message 100"),
    ("VAL_ of no message", CLEAN + 'VAL_ 9 Power 0 "off" ;\n', 28, "message 9, which is not there; left out"),
    ("orphan float type", CLEAN + "SIG_VALTYPE_ 100 Power : 1;\n", 28, "SIG_VALTYPE_ about signal Power"),
    ("unknown section", CLEAN + "FOO_BAR_ 1 2 3;\n", 28, "FOO_BAR_ is no section"),
    ("unknown attribute", CLEAN + 'BA_ "Nobody" 3;\n', None, ""),
    ("broken comment", CLEAN + 'CM_ BO_ 100 "quoted "word" here";\n', None, ""),
    ("no semicolon", CLEAN.replace('"unknown" ;', '"unknown"'), None, ""),
    ("no receiver", CLEAN.replace('"V" BMS', '"V"'), 12, "receivers of signal Voltage"),
    ("no range", CLEAN.replace('[0|1000] "V" BMS', ""), 12, "range, unit or receivers of signal Voltage"),
    ("no number in range", CLEAN.replace("[0|1000]", "[-INF|INF]"), 12, "range, unit"),
    ("no sender", CLEAN.replace("Pack: 8 BMS", "Pack: 8"), 11, "no sender"),
    ("hexadecimal id", CLEAN.replace("BO_ 100 ", "BO_ 0x64 "), 11, "written 0x64; read as 100"),
    ("29 bits unmarked", CLEAN.replace("2147484048", "400000").replace("400000 C", "400000 C"), 15, "29-bit"),
    ("point first", CLEAN.replace("(0.1,0)", "(.1,0)"), None, ""),
    ("no bits", CLEAN.replace(" SG_ Group M", ' SG_ Null : 0|0@1+ (1,0) [0|0] "" BMS\n SG_ Group M'), 16, "no bits"),
    ("repeated", CLEAN.replace("BO_ 2147", BODY[: BODY.index("BO_ 2147")] + "BO_ 2147"), 15, "repeats that of line 11"),
    ("no frame's id", CLEAN.replace("CM_ SG", 'BO_ 4000000000 X: 8 B\n SG_ Y : 0|1@1+ (1,0) [0|0] "" B\nCM_ SG'), 20,
     "no CAN frame can have"),
    ("byte order mark", codecs.BOM_UTF8 + CLEAN.encode(), 1, "byte order mark"),
    ("UTF-16", CLEAN.encode("utf-16"), 1, "UTF-16"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "line", "said"), [c[1:] for c in REJECTED_AND_REPAIRED], ids=[c[0] for c in REJECTED_AND_REPAIRED]
)
def test_what_cantools_rejects_is_repaired_and_told(text: str | bytes, line: int | None, said: str) -> None:
    found = examined(text)
    expected = meant(cantools_of(CLEAN))
    if "29-bit" in said:
        expected = meant(cantools_of(CLEAN.replace("2147484048", str(400000 | 1 << 31))))
    assert is_rejected(text), "this is no fault"
    assert meant(found.database) == expected
    if line is None:
        assert found.findings == ()
    else:
        assert [(f.line, f.repaired) for f in found.findings] == [(line, True)]
        assert said in found.findings[0].what


@pytest.mark.parametrize("ending", ["\r\n", "\r", "\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "cp1252"])
def test_line_ends_and_encodings_of_editors_are_no_fault(ending: str, encoding: str) -> None:
    text = CLEAN.replace('"V"', '"°C"').replace("the pack's", "für").replace("\n", ending)
    found = examined(text.encode(encoding))
    assert meant(found.database) == meant(cantools_of(CLEAN))
    assert found.findings == ()


REFUSED = [
    ("", 1, "no message"),
    ("what is this", 1, "not a statement"),
    ("VERSION \x00\n", 1, "zero byte"),
    (HEAD + "BO_ what is this", 11, 'not "BO_ id name: length sender"'),
    (CLEAN.replace("(0.1,0)", "(0,1,0)"), 12, 'not "SG_ name : start|length@order sign (factor,offset)"'),
    (CLEAN.replace("(0.1,0)", "(nan,0)"), 12, "SG_ Voltage"),
    (CLEAN.replace("16@1+ (0.1", "16@3+ (0.1"), 12, "SG_ Voltage"),
    (CLEAN.replace(" SG_ Current", "SG Current"), 12, "holds another one"),
    (CLEAN.replace("Voltage :", "Pack-Voltage :"), 12, "Pack-Voltage"),
    (CLEAN.replace("BO_ 100 Pack: 8 BMS\n", ""), 11, "belongs to no message"),
    (CLEAN.replace("Pack: 8 BMS", "Pack: 99999 BMS"), 11, "cannot have 99999 bytes"),
    (CLEAN.replace("Cell_1 : 1", "Cell_1 : x"), 26, "which signal is a float"),
    (CLEAN.replace("1-2, 5-5", "1 to 5"), 27, "when a signal is there"),
    (CLEAN.replace("1-2, 5-5", "0-4294967295"), 27, "more than 65536 values"),
    (CLEAN.replace('"CurrentOfTheWholePack"', "CurrentOfTheWholePack"), 24, "long name"),
    (HEAD + 'CM_ "open;\n' + BODY, 12, "text that begins in line 11 is still open"),
    (CLEAN + 'CM_ "open;\n', 28, "never closed"),
    (CLEAN.replace("BO_ 2147484048", 'BO_ 2147484048 Other: 8 B\n SG_ O : 0|8@1+ (1,0) [0|0] "" B\nBO_ 2147484048'),
     28, "may mean any of Other and Cells"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "said"), REFUSED)
def test_what_must_be_guessed_is_refused_with_file_and_line(text: str, line: int, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        examined(text)
    assert f"a.dbc, line {line}: " in str(caught.value)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("23|16@0-", "8|16@0-", 13, "overlapping"),
        ("0|16@1+", "56|16@1+", 12, "does not fit"),
    ],
)
def test_overlaps_and_misfits_are_loaded_and_noted(old: str, new: str, line: int, said: str) -> None:
    found = examined(CLEAN.replace(old, new))
    assert meant(found.database) == meant(cantools_of(CLEAN.replace(old, new)))
    (finding,) = found.findings
    assert not finding.repaired
    assert said in finding.what
    assert finding.line in (line, 12)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(range(len(REJECTED_AND_REPAIRED) - 2)), min_size=1, max_size=4), st.booleans())
def test_several_faults_in_one_file_are_all_repaired(faults: list[int], windows: bool) -> None:  # noqa: FBT001
    text = CLEAN
    for fault in faults:
        whole = REJECTED_AND_REPAIRED[fault][1]
        assert isinstance(whole, str)
        extra = whole.removeprefix(CLEAN)
        text += extra if extra != whole else ""
    found = examined(text.replace("\n", "\r\n") if windows else text)
    assert meant(found.database) == meant(cantools_of(CLEAN))


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 4))
def test_a_damaged_file_is_refused_or_loses_no_signal_unsaid(seed: int, cuts: int) -> None:
    chance = random.Random(seed)
    text = CLEAN
    for _ in range(cuts):
        at = chance.randrange(len(text))
        text = text[:at] + chance.choice(["", '"', "\n", ";", "SG_ ", "\0", "é", "//", "9"]) + text[at + 1 :]
    found = answer(text)
    if isinstance(found, str):
        assert "a.dbc, line " in found
    elif not found.findings and "//" not in text:
        assert sum(len(m.signals) for m in found.database.messages) >= 5


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_else(raw: bytes) -> None:
    for text in (raw, b"BO_ 1 A: 8 B\n" + raw, CLEAN.encode() + raw):
        found = answer(text)
        assert isinstance(found, Examined) or "a.dbc, line " in found
