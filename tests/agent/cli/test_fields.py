"""packseal fields on a terminal: its last column stays a column, or stands below where there is no room for it."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios

import pytest

from packseal.cli import main

COMMAND = [sys.executable, "-m", "packseal", "fields", "--category", "lmt"]


def on_terminal(columns: int) -> list[str]:
    """Return the lines that it writes to a terminal of this width."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    with subprocess.Popen(COMMAND, stdin=follower, stdout=follower, env=environment) as command:
        os.close(follower)
        said = b""
        try:
            while part := os.read(leader, 65536):
                said += part
        except OSError:  # Linux says EIO when the other side is closed
            pass
    os.close(leader)
    assert command.returncode == 0
    return said.decode().replace("\r\n", "\n").splitlines()


@pytest.mark.parametrize("columns", [80, 130])
def test_no_line_is_wider_than_the_terminal(columns: int, capsys: pytest.CaptureFixture[str]) -> None:
    shown = on_terminal(columns)
    assert max(map(len, shown)) <= columns
    main(["fields", "--category", "lmt"])
    whole = capsys.readouterr().out
    # Nothing is lost: in a file or a pipe each field has its one line.
    assert set(" ".join(shown).replace(":", "").split()) == set(whole.replace(":", "").split())
    assert len(whole.splitlines()) < len(shown)
