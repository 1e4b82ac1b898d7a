"""A TPM 2.0 in software for one guest: swtpm (https://github.com/stefanberger/swtpm/wiki)."""

import asyncio
from pathlib import Path

from packseal_hil.gateway.programs import find, need
from packseal_hil.rig.protocols import RigError

READY_S = 30.0
POLL_S = 0.05


class SoftwareTpm:
    """Runs swtpm on the Unix socket `path`; what the TPM keeps stays in `state` and outlives the guest's power."""

    def __init__(self, path: Path, state: Path) -> None:
        self.path = path
        self._state = state
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it and wait for its socket; raises RigError."""
        need({"swtpm": "swtpm"}, "The guest's TPM")
        self._state.mkdir(parents=True, exist_ok=True)
        words = ["socket", "--tpm2", "--tpmstate", f"dir={self._state}", "--ctrl", f"type=unixio,path={self.path}"]
        with (self._state / "swtpm.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(find("swtpm") or "", *words, stdout=log, stderr=log)
        for _ in range(round(READY_S / POLL_S)):
            if self.path.exists():
                return
            await asyncio.sleep(POLL_S)
        raise RigError(f"swtpm did not start; it has said why in {self._state / 'swtpm.log'}")

    async def stop(self) -> None:
        """End it; QEMU's end closes it too."""
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            await self._process.wait()
        self._process = None
        self.path.unlink(missing_ok=True)
