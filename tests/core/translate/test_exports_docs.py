"""docs/exports.md says what the code does."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_the_tables_are_up_to_date() -> None:
    script = [sys.executable, str(ROOT / "scripts" / "write-exports"), "--check"]
    done = subprocess.run(script, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), "run scripts/write-exports"
