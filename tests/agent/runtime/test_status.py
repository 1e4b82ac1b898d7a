"""What the agent says of its own memory is its own, whoever started it."""

import subprocess
import sys

BALLAST_MIB = 300
SCRIPT = "from packseal.runtime.status import peak_memory_mib; print(peak_memory_mib())"
PARENT = f"""
import subprocess, sys
ballast = bytearray({BALLAST_MIB} << 20)
print(subprocess.run([sys.executable, "-c", {SCRIPT!r}], capture_output=True, text=True, check=True).stdout)
"""


def test_the_memory_of_whoever_started_the_agent_is_not_the_agents() -> None:
    done = subprocess.run([sys.executable, "-c", PARENT], capture_output=True, text=True, check=True)
    assert 5 < float(done.stdout) < BALLAST_MIB / 2


def test_it_grows_with_what_is_held() -> None:
    script = SCRIPT.replace(
        "print(", f"before, ballast = peak_memory_mib(), bytearray({BALLAST_MIB} << 20); print(-before + "
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert BALLAST_MIB * 0.9 < float(done.stdout) < BALLAST_MIB * 1.1
