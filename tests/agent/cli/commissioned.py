"""A gateway with one battery that is a recording, to be commissioned and run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packseal.cli import main
from packseal.core.declared import Declared
from packseal.core.record import parse
from packseal.journal.store import Journal
from packseal.registry import book

BATTERY = "urn:example:battery:1"
FRAMES = Path(__file__).parents[2] / "recordings" / "jk_can" / "frames.log"


@dataclass(frozen=True)
class Gateway:
    """A gateway with one battery that is a recording."""

    folder: Path

    @property
    def config(self) -> str:
        return str(self.folder / "packseal.toml")

    @property
    def registry(self) -> Path:
        return self.folder / "registry.json"

    def declared(self) -> Declared:
        return book.read(self.registry)[BATTERY].declared

    def commission(self, *words: str) -> int:
        return main(["commission", "--config", self.config, *words])

    def run(self) -> list[Any]:
        """Run the agent until the recording has ended; return the bodies of the battery's log."""
        assert main(["run", "--config", self.config]) == 0
        with Journal.open_to_read(self.folder / "journal.db") as journal:
            log = next(entry.log_id for entry in journal.logs() if entry.subject == BATTERY)
            return [parse(record.raw).body for record in journal.records(log)]


def made(folder: Path) -> Gateway:
    """Return a gateway in `folder`."""
    assert main(["init", str(folder), "--battery", BATTERY, "--profile", "jk/can"]) == 0
    path = folder / "packseal.toml"
    text = path.read_text().replace('"socketcan"', '"recording"').replace('channel = "can0"', f'path = "{FRAMES}"')
    path.write_text(text)
    return Gateway(folder)
