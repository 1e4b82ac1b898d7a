"""Sources: what publishers may publish, from the configuration alone or from the journal and the recorders."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from packseal.config import Config
from packseal.core.bodies import Kind
from packseal.core.passport import Snapshot
from packseal.core.record import Record, parse
from packseal.core.sample import LinkState
from packseal.publish.protocol import MAX_HAPPENINGS, Described, Live, Newest
from packseal.runtime.desk import Desk

if TYPE_CHECKING:
    from packseal.runtime.agent import Recording

MOST_BYTES = 4 << 20
HAPPENINGS = (Kind.EVENT, Kind.GAP, Kind.LIFECYCLE)


class ConfiguredSource:
    """What the configuration says, with nothing recorded: for `packseal doctor`."""

    def __init__(self, config: Config) -> None:
        self.gateway = config.file.gateway.id
        self._config = config

    def batteries(self) -> Sequence[Described]:
        """Return every configured battery."""
        return _described(self._config)

    async def newest(self, subject: str) -> Newest | None:  # noqa: ARG002 - nothing is recorded of any
        """Return None."""
        return None

    async def end(self, subject: str) -> int:  # noqa: ARG002
        """Return 0."""
        return 0

    async def happenings(self, subject: str, start: int) -> tuple[Sequence[Record], int]:  # noqa: ARG002
        """Return none."""
        return (), start

    def live(self, subject: str) -> Live:  # noqa: ARG002
        """Return that nothing is heard yet."""
        return Live(LinkState.CONNECTING)


class RecordedSource(ConfiguredSource):
    """What is recorded: the journal, asked through the desk, and the recorders. `config` gives what holds now."""

    def __init__(self, config: Callable[[], Config], desk: Desk, recordings: Sequence["Recording"]) -> None:
        super().__init__(config())
        self._now = config
        self._desk = desk
        self._recordings: Mapping[str, Recording] = {recording.subject: recording for recording in recordings}

    def batteries(self) -> Sequence[Described]:
        """Return every configured battery, with what is declared of it now."""
        return _described(self._now())

    async def newest(self, subject: str) -> Newest | None:
        """Return the newest snapshot of the log that this run writes; raises StorageError."""
        journal, log_id = self._desk.journal, self._recordings[subject].log_id
        found = await self._desk.run(lambda: journal.newest_snapshot(log_id))
        if found is None:
            return None
        record = parse(found[1])
        if not isinstance(record.body, Snapshot):
            return None
        header = record.header
        return Newest(subject, log_id, header.sequence, header.wall_ms, record, record.body)

    async def end(self, subject: str) -> int:
        """Return where the log ends; raises StorageError."""
        journal, log_id = self._desk.journal, self._recordings[subject].log_id
        return await self._desk.run(lambda: journal.head(log_id).next_sequence)

    async def happenings(self, subject: str, start: int) -> tuple[Sequence[Record], int]:
        """Return what happened since `start`, and the end of the log; raises StorageError."""
        journal, log_id = self._desk.journal, self._recordings[subject].log_id

        def look() -> tuple[list[tuple[int, bytes]], int]:
            end = journal.head(log_id).next_sequence
            most = 2 * MAX_HAPPENINGS  # about every second of them is a snapshot, and many more are not wanted
            return journal.entries(log_id, start, end, most, MOST_BYTES, urgent=True, newest_first=True), end

        found, end = await self._desk.run(look)
        records = [parse(raw) for _, raw in found]
        return [record for record in records if record.kind in HAPPENINGS][-MAX_HAPPENINGS:], end

    def live(self, subject: str) -> Live:
        """Return what the recorder has heard last."""
        recorder = self._recordings[subject].recorder
        status, last = recorder.status, recorder.status.last
        wall_ms = None if last is None else last.at.wall_ns // 1_000_000
        return Live(recorder.driver.counts.state, status.ended, wall_ms, dict(status.present))


def _described(config: Config) -> Sequence[Described]:
    return [
        Described(b.id, b.declared, tuple(config.changes.get(b.id, ())), b.profile or "", b.parts)
        for b in config.file.battery
    ]
