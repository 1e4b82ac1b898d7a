"""A real sshd on loopback, for this user, with keys of its own."""

import getpass
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

from packseal_hil.rig import process

START_S = 20.0
CONFIG = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
PidFile none
AuthorizedKeysFile {folder}/user.pub
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
"""


def why_not() -> str:
    """Return why no sshd can run here and what to do about it; nothing when one can."""
    missing = {"sshd": "openssh-server", "ssh": "openssh-client", "ssh-keygen": "openssh-client"}
    packages = {package for program, package in missing.items() if shutil.which(program, path=process.PATH) is None}
    return f"apt install {' '.join(sorted(packages))}" if packages else ""


class SshServer:
    """Can be stopped and started again, as a machine that loses its power."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._log = folder / "sshd.log"
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        for name in ("host", "user"):
            key = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name))
            subprocess.run(key, check=True, capture_output=True, env=process.environment())
        (folder / "sshd_config").write_text(CONFIG.format(port=self.port, folder=folder))

    @property
    def table(self) -> str:
        """The [device] table of a bench.toml."""
        known = self.folder / "known"
        return (
            f'[device]\nssh = "{getpass.getuser()}@127.0.0.1"\nport = {self.port}\nidentity = "user"\n'
            f'options = ["StrictHostKeyChecking=accept-new", "UserKnownHostsFile={known}"]\n'
        )

    def start(self) -> None:
        """Return when it listens."""
        program = shutil.which("sshd", path=process.PATH)
        assert program is not None
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd(8): its privilege separation needs it
        command = [program, "-D", "-e", "-f", str(self.folder / "sshd_config")]
        self._process = process.spawn("sshd", command, self._log)
        end_s = time.monotonic() + START_S
        while time.monotonic() < end_s:
            assert self._process.poll() is None, self._log.read_text()
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise AssertionError(self._log.read_text())

    def stop(self) -> None:
        """End it and every connection."""
        if self._process is not None:
            # Its connections are processes in sessions of their own.
            subprocess.run(["pkill", "-KILL", "-P", str(self._process.pid)], check=False)
            process.end(self._process)
        self._process = None
