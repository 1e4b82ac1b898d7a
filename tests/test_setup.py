"""Set-up scripts: what is taken when all is there, and what they say when something cannot be installed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"
NOBODY = 65534  # Debian Policy §9.2.2
TOOLS = ("sh", "env", "id", "dirname", "mktemp", "rm", "tail")


def run(command: list[str | Path], **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A folder with nothing but the tools of a shell script, to be the PATH."""
    for tool in TOOLS:
        (tmp_path / tool).symlink_to(shutil.which(tool) or pytest.fail(f"no {tool} here"))
    return tmp_path


def test_the_python_found_is_supported_and_can_make_a_virtual_environment() -> None:
    found = run([SCRIPTS / "find-python"])
    assert found.returncode == 0, found.stderr
    version = run([found.stdout.strip(), "-c", "import sys, venv, ensurepip; print(sys.version_info[:2])"])
    assert version.stdout.strip() in {"(3, 11)", "(3, 12)", "(3, 13)"}


def test_the_python_asked_for_is_taken_and_a_wrong_one_is_named() -> None:
    asked = run([SCRIPTS / "find-python"], PACKSEAL_PYTHON=sys.executable)
    assert asked.stdout.strip() == sys.executable, asked.stderr
    wrong = run([SCRIPTS / "find-python"], PACKSEAL_PYTHON="/bin/false")
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert "PACKSEAL_PYTHON=/bin/false" in wrong.stderr


def test_what_is_there_is_not_installed_again() -> None:
    done = run([SCRIPTS / "need-programs", "sh:dash", "env:coreutils"], PACKSEAL_PYTHON=sys.executable)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_only_what_is_missing_is_asked_for(bare: Path) -> None:
    needed = "sh:dash", "no-such-program:its-package"
    done = run([SCRIPTS / "need-programs", *needed], PATH=str(bare), PACKSEAL_PYTHON=sys.executable)
    assert done.returncode == 1
    assert done.stderr.startswith("Missing: its-package. There is no apt-get here")


def test_who_may_not_install_is_told_the_command(bare: Path) -> None:
    (bare / "apt-get").symlink_to("/bin/false")
    bare.chmod(0o755)
    done = subprocess.run(
        [shutil.which("sh") or "sh", "-s", "one", "two"],
        input=(SCRIPTS / "install-packages").read_text("utf-8"),  # this folder may be closed to others
        env={"PATH": "."},  # so are those above it
        cwd=bare,
        user=NOBODY if os.geteuid() == 0 else None,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.endswith("no sudo here. As root, run:  apt-get update && apt-get install one two\n")


def test_a_failed_installation_names_the_command(bare: Path) -> None:
    for program in ("apt-get", "sudo"):
        (bare / program).symlink_to("/bin/false")
    done = run([SCRIPTS / "install-packages", "one"], PATH=str(bare))
    assert done.returncode == 1
    assert done.stderr.endswith("As root, run:  apt-get update && apt-get install one\n")
