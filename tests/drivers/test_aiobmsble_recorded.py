"""Our own reading of JBD, Daly and JK against the recorded answers, and their values, of aiobmsble's own tests.

Those are in its source distribution alone, and stay there: unpack it and name it in PACKSEAL_AIOBMSBLE_SOURCE
(`pip download --no-deps --no-binary :all: aiobmsble==0.31.0`).
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from packseal.core.quantities import Channel, Quantity
from packseal_drivers import profile
from packseal_drivers.ble.offline import samples_of
from packseal_drivers.decoding import compile_decoders
from packseal_drivers.offline import Totals
from packseal_drivers.recordings.row import Troubles

SOURCE = os.environ.get("PACKSEAL_AIOBMSBLE_SOURCE", "")
NEEDED = pytest.mark.skipif(
    not SOURCE, reason="PACKSEAL_AIOBMSBLE_SOURCE does not name aiobmsble's unpacked source distribution"
)
TELL = """
import json
import tests.bms.test_daly_bms as daly, tests.bms.test_jbd_bms as jbd, tests.bms.test_jikong_bms as jk
def asked(client): return [client.RESP[client.CMD_INFO], client.RESP[client.CMD_CELL]]
def cells(places): return jk._PROTO_DEFS["JK02_" + places]["cell"], jk._RESULT_DEFS["JK02_" + places]
cases = {
    "jbd/smart_bms": [(asked(jbd.MockJBDBleakClient), jbd._RESULT_DEFS),
                      (asked(jbd.Mock100mABleakClient), jbd._RESULT_10D)],
    "daly/smart_bms": [([next(v for k, v in daly._PROTO_DEFS[0xD2].items() if k[2:6] == bytes((0, 0, 0, 62)))],
                        daly._RESULT_DEFS[0xD2])],
    **{"jk/jk02_" + places: [([frame], result)] for places in ("24s", "32s")
       for frame, result in [cells(places.upper())]},
}
print(json.dumps({name: [([bytes(f).hex() for f in frames], result) for frames, result in those]
                  for name, those in cases.items()}, default=float))
"""
LISTENED_AT = {"jbd/smart_bms": "ff01", "daly/smart_bms": "fff1", "jk/jk02_24s": "ffe1", "jk/jk02_32s": "ffe1"}
SAME = {
    "voltage": Quantity.PACK_VOLTAGE_V,
    "current": Quantity.PACK_CURRENT_A,
    "battery_level": Quantity.STATE_OF_CHARGE_PCT,
    "cycle_charge": Quantity.REMAINING_CHARGE_AH,
    "cycles": Quantity.CYCLES,
}
TIMES = 6
"""So often each answer is repeated, until it is believed."""


def recorded() -> dict[str, list[tuple[list[str], dict[str, Any]]]]:
    """By profile: the answers, and what aiobmsble's tests say that they mean."""
    # In a process of its own, since its tests are in a package of the same name as these.
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", TELL],
        cwd=SOURCE,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, list[tuple[list[str], dict[str, Any]]]] = json.loads(done.stdout)
    return told


def read(name: str, answers: list[str], path: Path) -> dict[Channel, float]:
    at_s, lines = 1_700_000_000.0, list[str]()
    for answer in answers * TIMES:
        for start in range(0, len(answer), 256):
            lines.append(f"({at_s:.6f}) {LISTENED_AT[name]} < {answer[start : start + 256]}")
            at_s += 0.02
        at_s += 0.5
    path.write_text("\n".join(lines) + "\n")
    file, told = profile.load(name), dict[Channel, float]()
    for sample in samples_of(path, file.profile, compile_decoders(file), 1.0, Totals(), Troubles(path)):
        told |= sample.values
    return told


@NEEDED
@pytest.mark.parametrize("name", LISTENED_AT)
def test_recorded_answers_are_read_as_the_library_reads_them(name: str, tmp_path: Path) -> None:
    cases = recorded()[name]
    assert cases
    for answers, result in cases:
        told = read(name, answers, tmp_path / "recorded.ble")
        for key, quantity in SAME.items():
            assert told[Channel(quantity)] == pytest.approx(result[key]), key
        for number, volts in enumerate(result["cell_voltages"]):
            assert told[Channel(Quantity.CELL_VOLTAGE_V, number)] == pytest.approx(volts)
