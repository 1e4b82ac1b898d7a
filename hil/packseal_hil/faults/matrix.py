"""The matrix: a running agent and a running sink meet every fault in turn, and go on when it is lifted."""

import json
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from urllib.error import HTTPError

from packseal_hil.faults.cells import CALLS
from packseal_hil.faults.kills import received
from packseal_hil.faults.shim import FOR_EVER, Call, Error
from packseal_hil.faults.station import START_S, Station
from packseal_hil.rig.protocols import RigError

PATIENCE_S, LASTS_S, AFTER_S = 45.0, 1.5, 100.0  # a log that cannot be read is tried again after a minute
FILLS_S, LEAST_LOST = 240.0, 500
ANY = Call.OPEN | Call.WRITE | Call.SYNC | Call.TRUNCATE | Call.READ | Call.MAP | Call.RENAME | Call.UNLINK
CHANGING = Call.OPEN | Call.WRITE | Call.SYNC | Call.TRUNCATE | Call.RENAME | Call.UNLINK
AGENT, SINK = "agent", "sink"


@dataclass(frozen=True, slots=True)
class Fault:
    """What fails: of the program `of`, `calls` on what `ending` ends, `times` times. `file` is its name for people.

    `is_told`: it must be seen in the status; else it may pass unnoticed.
    """

    of: str
    file: str
    ending: str
    calls: Call
    error: Error
    times: int = FOR_EVER
    is_told: bool = True

    @property
    def call(self) -> str:
        """The calls, for people."""
        named = [name for call, name in CALLS.items() if call in self.calls]
        return "every call" if self.calls == ANY else "every change" if self.calls == CHANGING else ", ".join(named)


@dataclass(frozen=True, slots=True)
class Row:
    """What was seen: `met` calls failed, `said` is the sentence of the status, `wrong` what must not be."""

    of: str
    file: str
    call: str
    error: str
    met: int
    said: str
    wrong: Sequence[str]


def faults(station: Station) -> Iterator[Fault]:
    """Yield every fault of the matrix."""
    state, sink = f"{station.state}/", f"{station.sink_file.parent}/"
    for of, file in ((AGENT, "journal.db"), (SINK, "sink.db")):
        wal, name = f"{file}-wal", "write-ahead log"
        yield from (Fault(of, name, wal, Call.WRITE, error) for error in Error)
        yield Fault(of, name, wal, Call.WRITE, Error.SHORT, 1, is_told=False)
        yield from (Fault(of, name, wal, Call.SYNC, error) for error in Error if error is not Error.SHORT)
        yield Fault(of, name, wal, Call.SYNC, Error.EIO, 1, is_told=False)
        # The sink tells it from 32 MB on, which takes longer than the patience here.
        yield from (Fault(of, "database", file, Call.WRITE, error, is_told=of == AGENT) for error in Error)
        yield from (
            Fault(of, "database", file, Call.SYNC, error, is_told=of == AGENT)
            for error in Error
            if error is not Error.SHORT
        )
        yield Fault(of, "database", file, Call.SYNC, Error.EIO, 1, is_told=False)
        yield Fault(of, "database", file, Call.READ, Error.EIO, is_told=False)
    yield Fault(AGENT, "its folder", state, CHANGING, Error.EROFS)
    yield Fault(AGENT, "its folder", state, ANY, Error.EIO)
    yield Fault(SINK, "its folder", sink, CHANGING, Error.EROFS)
    yield Fault(SINK, "its folder", sink, ANY, Error.EIO)


def volume_faults() -> Iterator[Fault]:
    """Yield the faults of what the links' data volumes are put on record in; for a station with a daily budget."""
    yield from (Fault(AGENT, "data volumes", "uplinks.json.new", Call.WRITE, error) for error in Error)
    yield Fault(AGENT, "data volumes", "uplinks.json.new", Call.SYNC, Error.EIO)
    yield Fault(AGENT, "data volumes", "uplinks.json", Call.RENAME, Error.EROFS)


def meet(station: Station, fault: Fault) -> Row:
    """Let a running station meet one fault, lift it, and see that work goes on; raises RigError when it does not."""
    switch = station.switch if fault.of == AGENT else station.sink_switch
    trouble = agent_trouble if fault.of == AGENT else sink_trouble
    since = station.output.stat().st_size
    switch.order(fault.calls, fault.error, fault.ending, times=fault.times)
    said = _watch(station, lambda: switch.hits, lambda: trouble(station), is_told=fault.is_told)
    wrong = list(_lines(station, since, said))
    if fault.of == AGENT and said and fault.times == FOR_EVER and said not in station.told().stdout:
        wrong.append("`packseal status` does not say it")
    met = switch.hits
    switch.lift()
    if not met:
        wrong.append("the fault was never met")
    if fault.is_told and not said:
        wrong.append("nothing is told")
    error = f"{fault.error.name}{', once' if fault.times == 1 else ''}"
    return Row(
        fault.of,
        fault.file,
        fault.call,
        error,
        met,
        said,
        [*wrong, *_goes_on(station, lambda: trouble(station)), *station.complaints()],
    )


def vanish(station: Station, of: str) -> Row:
    """Move the files of a running program away and bring them back; raises RigError when it does not go on."""
    trouble = agent_trouble if of == AGENT else sink_trouble
    folder = station.state if of == AGENT else station.sink_file.parent
    away, since = folder.with_name("away"), station.output.stat().st_size
    folder.rename(away)
    said = _watch(station, lambda: 1, lambda: trouble(station), is_told=True)
    wrong = list(_lines(station, since, said)) if said else ["nothing is told"]
    away.rename(folder)
    rest = [*_goes_on(station, lambda: trouble(station)), *station.complaints()]
    return Row(of, "its folder", "moved away", "and brought back", 1, said, [*wrong, *rest])


def overflow(station: Station) -> Row:
    """Let a station that plays its recording very fast seal more than memory holds; lift the fault; compare both."""
    station.switch.order(Call.WRITE, Error.EIO, "journal.db-wal")
    station.until(lambda: _lost_samples(station) > LEAST_LOST, FILLS_S, "its memory does not fill")
    said, met, lost = agent_trouble(station), station.switch.hits, _lost_samples(station)
    station.switch.lift()
    station.until(lambda: not agent_trouble(station), AFTER_S, "it does not go on")
    row = ending(station)
    named = [name for name in row.wrong if name.endswith("a gap for not_stored")]
    wrong = [*(one for one in row.wrong if one not in named), *([] if named else ["no gap names what is lost"])]
    call = f"write, until memory is full: {lost} samples lost, named by a signed gap"
    return Row(AGENT, "write-ahead log", call, "EIO", met, said, wrong)


def _lost_samples(station: Station) -> int:
    return sum(int(battery["lost_samples"]) for battery in station.status().get("batteries", ()))


def agent_trouble(station: Station) -> str:
    """Return what the agent's status says is wrong."""
    status = station.status()
    if not status:
        return ""
    uplink = status["uplink"]
    away = "" if uplink["connected"] else uplink["last_error"]
    return str(status["journal"]["last_error"] or away or " ".join(uplink["notes"]))


def sink_trouble(station: Station) -> str:
    """Return what the sink's status page says is wrong."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{station.sink.port}/status", timeout=START_S) as answer:
            return str(json.loads(answer.read())["trouble"])
    except HTTPError as error:
        return error.read().decode("utf-8", "replace")
    except OSError as error:
        return f"its page does not answer: {error}"


def _watch(station: Station, hits: Callable[[], int], trouble: Callable[[], str], *, is_told: bool) -> str:
    """Wait until the fault is met, and told where it must be; give it some time, and return what is told."""
    end_s, met_s, said = time.monotonic() + PATIENCE_S, 0.0, ""
    while (now := time.monotonic()) < end_s:
        station.sink.check()
        said = trouble() or said
        met_s = met_s or (now if hits() else 0.0)
        if met_s and now > met_s + LASTS_S and (said or not is_told):
            break
        time.sleep(0.1)
    return said


def _lines(station: Station, since: int, said: str) -> Iterator[str]:
    """Yield what is wrong with the agent's lines: a traceback, or the same sentence again and again."""
    lines = station.lines(since)
    if any("Traceback" in line for line in lines):
        yield "a traceback"
    if said and sum(said in line for line in lines) > 3:  # noqa: PLR2004 - the log of each battery and the gateway's
        yield "told again and again"


def _goes_on(station: Station, trouble: Callable[[], str]) -> list[str]:
    """Wait until all is well, records come to the journal and the sink again, and nothing waits."""
    before = sum(station.stored().values()), received(station)

    def is_well() -> bool:
        status = station.status()
        if not status or status["journal"]["pending"] or trouble():
            return False
        return sum(station.promised.values()) > before[0] and received(station) > before[1]

    try:
        station.until(is_well, AFTER_S, "it does not go on")
    except RigError as error:
        return [f"{error}; {trouble()}"]
    return []


def ending(station: Station) -> Row:
    """Stop both in good order and compare them: every record once, receipted, and not one gap."""
    code = station.stop()
    station.sink.stop()
    logs = station.audit()
    wrong = [log.complaint for log in logs if log.complaint]
    wrong += [f"{log.subject}: a gap for {cause}" for log in logs for cause in log.gaps]
    wrong += [f"the agent ended with code {code}"] if code else []
    said = f"{sum(log.sealed for log in logs)} records sealed, received, verified and receipted, no gap"
    return Row("both", "all files", "after the last fault", "none", 0, "" if wrong else said, wrong)
