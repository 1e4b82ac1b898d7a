"""Outage: what a gateway has sealed before the scenario, and whether all of it is at the sink afterwards, provably."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from packseal.core.declared import Declared
from packseal.core.record import LOG_ID_BYTES, Record
from packseal.demo.places import Places
from packseal.journal.store import Journal
from packseal.keys import file as key_file
from packseal_hil import backlog
from packseal_hil.backlog import Author
from packseal_hil.rig.protocols import RigError
from packseal_hil.scenario.gateway import BATTERY, GATEWAY, Gateway
from packseal_hil.scenario.outage_tables import Backlog
from packseal_hil.story import Verdict

COMMAND = "import sys; from packseal.cli import main; sys.exit(main())"
COMMAND_S = 300
NS_PER_S = 1_000_000_000
PERIOD_S = 60.0


class Outage:
    """A backlog in `directory` of this machine, as it was before the agent started."""

    def __init__(self, table: Backlog, directory: Path) -> None:
        self._table = table
        self._directory = directory
        self.log_id = os.urandom(LOG_ID_BYTES)

    @property
    def kept_days(self) -> float:
        """So long that what was delivered is still in the journal at the end, to be compared."""
        return 2 * self._table.days + 1

    @property
    def journal(self) -> Path:
        """The journal with the backlog."""
        return self._directory / "journal.db"

    async def fill(self, gateway: Gateway, declared: Declared) -> None:
        """Seal the backlog with the gateway's own key, up to now, and give it to the gateway; raises RigError."""
        key = await gateway.device.get(f"{gateway.directory}/gateway.key")
        self._directory.mkdir(parents=True, exist_ok=True)
        (self._directory / "gateway.key").write_bytes(key)
        (self._directory / "gateway.key").chmod(0o600)
        await asyncio.to_thread(self._seal, declared)
        await gateway.give(self.journal)

    def _seal(self, declared: Declared) -> None:
        author = Author(key_file.load(self._directory / "gateway.key"), GATEWAY, BATTERY, self.log_id)
        samples = backlog.minutes(self._table.minutes, time.time_ns() - NS_PER_S)
        backlog.fill(self.journal, author, declared, PERIOD_S, samples)

    def verdicts(self, records: Sequence[Record], journal: Path, gateway_pem: bytes, places: Places) -> list[Verdict]:
        """Return whether the gateway's log goes on from the backlog's own records, and can be proven off-line.

        Args:
            records: the battery's, as the gateway's journal has them at the end.
            journal: that journal, here.
            gateway_pem: the gateway's public key.
            places: the operator's.
        """
        (self._directory / "gateway.pub").write_bytes(gateway_pem)
        with Journal.open_to_read(self.journal) as opened:
            sealed = [record.raw for record in opened.records(self.log_id)]
        kept = [record.raw for record in records[: len(sealed)]]
        same = sum(mine == theirs for mine, theirs in zip(sealed, kept, strict=False))
        seen = f"{same} of {len(sealed)} records"
        return [
            Verdict("the journal still holds the whole backlog", same == len(sealed), seen),
            *(self._proven(number, journal, places) for number in (0, len(sealed) // 2, len(sealed) - 1)),
        ]

    def _proven(self, number: int, journal: Path, places: Places) -> Verdict:
        """Return whether `packseal journal prove` and `packseal verify` say that the sink has received a record."""
        title = f"record {number} is proven off-line to be received"
        proof = self._directory / f"{number}.proof"
        log = self.log_id.hex()
        try:
            _said("journal", "prove", str(number), str(proof), "--log", log, "--journal", str(journal))
            keys = ("--key", str(self._directory / "gateway.pub"), "--sink-key", str(places["sink.pub"]))
            said = _said("verify", str(proof), *keys)
        except RigError as error:
            return Verdict(title, held=False, found=str(error))
        return Verdict(title, "of the sink" in said.splitlines()[-1], said.splitlines()[-1])


def _said(*arguments: str) -> str:
    """Return what packseal prints; raises RigError when it fails."""
    command = [sys.executable, "-c", COMMAND, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_S, check=False)  # noqa: S603
    if done.returncode:
        raise RigError(f"packseal {arguments[0]}: {(done.stderr or done.stdout).strip()[-300:]}")
    return done.stdout.strip()
