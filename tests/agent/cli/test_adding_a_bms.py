"""docs/adding-a-bms.md, followed word for word: its files are written, its commands run, its output compared.

A block whose first line names a file after the language is that file. In a `console` block, what follows a command is
what it prints; `…` stands for anything within a line, and alone for any lines.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PAGE = Path(__file__).parents[3] / "docs" / "adding-a-bms.md"
BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MOST_LINES = 40


def commands(block: str) -> Iterator[tuple[str, str]]:
    """Yield each command and what it must print."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


def pattern(output: str) -> str:
    lines = [r"(?:.*\n)*?" if line == "…" else shown(line) + r" *\n" for line in output.splitlines()]
    return "".join(lines)


def shown(line: str) -> str:
    return r".*".join(re.escape(part) for part in line.split("…"))


def followed(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    out, errors = subprocess.PIPE, subprocess.STDOUT
    return subprocess.run(
        command, shell=True, cwd=folder, env=environment, text=True, check=False, timeout=60, stdout=out, stderr=errors
    )


def test_the_page_leads_from_a_recording_to_samples(tmp_path: Path) -> None:
    ran = []
    for language, name, content in BLOCK.findall(PAGE.read_text("utf-8")):
        if name:
            (tmp_path / name).write_text(content)
            continue
        assert language == "console"
        for command, output in commands(content):
            done = followed(command, tmp_path)
            assert re.fullmatch(pattern(output), done.stdout), f"$ {command}\n{done.stdout}\nis not\n{output}"
            assert done.returncode == ("no profile fits" in output), f"{command} gave {done.returncode}"
            ran.append(command.split()[1])
    assert {"probe", "decode", "doctor", "run", "journal"} <= set(ran)


def test_the_profile_of_the_page_is_short_and_no_program_is_in_it() -> None:
    files = {name: content for _, name, content in BLOCK.findall(PAGE.read_text("utf-8")) if name}
    assert files.keys() == {"shed.log", "shed.dbc", "shed.toml"}
    assert files["shed.toml"].count("\n") < MOST_LINES
    assert "0xFFFF" in files["shed.toml"]
    assert not re.search(r"^```(?!text|toml|console|$)", PAGE.read_text("utf-8"), re.MULTILINE)


def test_an_output_that_differs_is_noticed() -> None:
    expected = pattern("a … c\n…\nlast\n")
    assert re.fullmatch(expected, "a b c\nx\ny\nlast\n")
    assert not re.fullmatch(expected, "a b c\nx\ny\nlast\nmore\n")
    assert not re.fullmatch(expected, "a b d\nlast\n")
