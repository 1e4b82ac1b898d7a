"""The next start after a cut, taken with the agent's own parts: it goes on with the log and says what is missing."""

from pathlib import Path

from packseal.core.bodies import Gap, GapCause, Kind, Lifecycle, LifecycleCode
from packseal.core.declared import Declared
from packseal.core.errors import FormatError, InputError, StorageError, VerifyError
from packseal.core.meter import Meter
from packseal.core.quantities import Channel, Quantity
from packseal.core.record import parse
from packseal.core.sample import ClockQuality, Instant, Sample
from packseal.core.sealer import Sealer
from packseal.journal.store import Journal, Log, LogKind
from packseal.keys import file as key_file
from packseal.runtime.opening import find_log
from packseal_hil.powercut.chains import Chains
from packseal_hil.powercut.judge import Fault, Finding

WINDOW_S = 1.0
LATER_NS = 1_000_000_000
VOLTS = Channel(Quantity.PACK_VOLTAGE_V)


def reopen(journal: Path, key: Path, issuer: str, chains: Chains) -> list[Finding]:
    """Start on the journal as the agent does and record one sample of each battery; return what is wrong with that.

    Args:
        journal: what a cut left; goes on by some records.
        key: the gateway's private key file.
        issuer: the gateway's id.
        chains: verifies what is there afterwards.
    """
    try:
        signer = key_file.load(key)
        with Journal.open(journal) as opened:
            batteries = [log for log in opened.logs() if log.kind is LogKind.BATTERY]
            return [finding for log in batteries for finding in _go_on(opened, signer, issuer, log, chains)]
    except (FormatError, InputError, StorageError, VerifyError) as error:
        return [Finding(Fault.RESTART, str(error))]


def _go_on(journal: Journal, signer: key_file.FileSigner, issuer: str, log: Log, chains: Chains) -> list[Finding]:
    found = find_log(journal, signer, issuer, log.subject, LogKind.BATTERY)
    if found.log_id != log.log_id or found.trouble:
        return [Finding(Fault.RESTART, f"{log.subject}: {found.trouble or 'it does not go on with its log'}")]
    meter = Meter(Declared(), frozenset(), state=found.state)
    sealer = Sealer(found.pen, meter, WINDOW_S, found.stopped, found.last_ms)
    last_ms, expected = meter.last_wall_ms or found.last_ms, _cause(journal, log)
    at = Instant(LATER_NS, last_ms * 1_000_000 + LATER_NS, ClockQuality.NTP)
    start = journal.head(log.log_id).next_sequence
    for sealed in [
        sealer.begin(LifecycleCode.AGENT_STARTED, at, {}),
        *sealer.feed(Sample(at, {VOLTS: 360.0})),
        sealer.end(LifecycleCode.AGENT_STOPPED, at),
    ]:
        journal.append(log.log_id, sealed.records, sealed.state)
    chains.verify(log.log_id, list(journal.records(log.log_id)))
    gaps = [parse(r.raw).body for r in journal.records(log.log_id, start) if r.kind is Kind.GAP]
    return _check_gap(log, [gap for gap in gaps if isinstance(gap, Gap)], expected, last_ms)


def _cause(journal: Journal, log: Log) -> GapCause:
    """Return what the gap must name: a cut, unless the agent had just said that it ends."""
    last = journal.last(log.log_id)
    body = None if last is None else parse(last.raw).body
    ended = isinstance(body, Lifecycle) and body.code in (LifecycleCode.AGENT_STOPPED, LifecycleCode.SOURCE_ENDED)
    return GapCause.STOPPED if ended else GapCause.UNCLEAN_STOP


def _check_gap(log: Log, gaps: list[Gap], cause: GapCause, last_ms: int) -> list[Finding]:
    """One gap must say since when nothing is known: the last sample or, before there was one, the log's last word."""
    if not last_ms:  # a log without a record
        return [Finding(Fault.RESTART, f"{log.subject}: a gap in a new log")] if gaps else []
    said = [(gap.cause, gap.from_wall_ms) for gap in gaps]
    if said == [(cause, last_ms)]:
        return []
    return [Finding(Fault.RESTART, f"{log.subject}: gaps {said}, not one of {cause!r} from {last_ms} ms on")]
