"""Status: what the running agent says of itself, as JSON over a Unix socket that only its owner may open."""

import asyncio
import contextlib
import dataclasses
import os
import resource
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import msgspec

from packseal import __version__
from packseal.core.errors import StorageError
from packseal.journal.contradictions import Contradiction

if TYPE_CHECKING:
    from packseal.publish.status import PublishStatus
    from packseal.runtime.agent import Agent, Recording
    from packseal.runtime.keeping import Kept

KIB_PER_MIB = 1024
PROCESS = Path("/proc/self/status")
PATH_LIMIT = 107  # unix(7): sun_path holds 108 bytes with its closing zero
HEARD = ("frames", "unknown", "short", "flawed", "doubted", "dropped", "samples", "error_frames", "doubles", "rescaled")
ASKED = ("requests", "answers", "negative", "unanswered", "unexpected", "cut", "refused", "unsent")
_BEGAN_S = time.monotonic()


class StatusServer:
    """Answers every connection with one JSON document and closes it.

    Args:
        path: the socket; a stale one is replaced.
        describe: gives the document.

    Raises:
        StorageError: on entry, when the socket cannot be made.
    """

    def __init__(self, path: Path, describe: Callable[[], dict[str, Any]]) -> None:
        self._path = path
        self._describe = describe

    async def __aenter__(self) -> Self:
        """Listen."""
        if len(os.fsencode(self._path)) > PATH_LIMIT:
            raise StorageError(f"socket path {self._path} is longer than {PATH_LIMIT} bytes: set gateway.socket")
        old = os.umask(0o177)
        try:
            self._path.unlink(missing_ok=True)
            self._server = await asyncio.start_unix_server(self._answer, self._path)
        except OSError as error:
            raise StorageError(f"socket {self._path} cannot be made: {error.strerror}") from error
        finally:
            os.umask(old)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening and remove the socket."""
        self._server.close()
        self._path.unlink(missing_ok=True)

    async def _answer(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(msgspec.json.encode(self._describe()) + b"\n")
            await writer.drain()
        except ConnectionError:
            pass  # whoever asked is gone
        finally:
            writer.close()


def peak_memory_mib() -> float:
    """Return the most memory that this process has held.

    VmHWM (proc(5)), for ru_maxrss of getrusage(2) survives execve(2): it is at least what the parent held.
    """
    with contextlib.suppress(OSError, ValueError):
        for line in PROCESS.read_text("ascii", "replace").splitlines():
            name, _, value = line.partition(":")
            if name == "VmHWM":
                return int(value.split()[0]) / KIB_PER_MIB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB_PER_MIB


def describe(agent: "Agent") -> dict[str, Any]:
    """Return the state of every part of `agent`."""
    return {
        "version": __version__,
        "gateway": {
            "id": agent.config.file.gateway.id,
            "kid": agent.kid.hex(),
            "log_id": agent.gateway_log.log_id.hex(),
            "uptime_s": round(time.monotonic() - _BEGAN_S, 1),
            "peak_memory_mib": peak_memory_mib(),
            "cpu_s": round(time.process_time(), 3),
            "configuration": str(agent.config.path),
        },
        "batteries": [_battery(recording) for recording in agent.recordings],
        "journal": _journal(agent),
        "registry": _registry(agent),
        "kept": kept_json(agent.keeper.kept if agent.keeper else None),
        "uplink": _uplink(agent),
        "power": _power(agent),
        "ended_logs": [_ended(one) for one in agent.ended],
        "publish": [_publisher(publisher.status) for publisher in agent.publishers],
    }


def _battery(recording: "Recording") -> dict[str, Any]:
    recorder = recording.recorder
    counts, last = recorder.driver.counts, recorder.status.last
    link: dict[str, Any] = {name: getattr(counts, name) for name in (*HEARD, *ASKED)}
    link["declined"] = {f"0x{code:02X}": count for code, count in sorted(counts.declined.items())}
    return {
        "id": recording.subject,
        "log_id": recording.log_id.hex(),
        "profile": recorder.driver.name,
        "parts": list(recording.parts),
        "silent_parts": list(getattr(recorder.driver, "silent", ())),
        "link": {"state": counts.state.name.lower(), **link},
        "ended": recorder.status.ended,
        "samples": recorder.status.samples,
        "lost_samples": recorder.status.lost_samples,
        "open_samples": recorder.open_samples,
        "notices": recorder.status.notices,
        "windows": recorder.writer.status.windows,
        "records": recorder.writer.status.records,
        "last_sample": None if last is None else _utc(last.at.wall_ns // 1_000_000),
        "present": {
            channel.quantity.key: {"value": value, "unit": channel.quantity.unit}
            for channel, value in recorder.status.present.items()
            if channel.index == 0
        },
        "use": recorder.use(),
    }


def _journal(agent: "Agent") -> dict[str, Any]:
    writers = [agent.gateway_log.writer, *(r.recorder.writer for r in agent.recordings)]
    return {
        "path": str(agent.config.journal),
        "records": sum(w.status.records for w in writers),
        "bytes": sum(w.status.bytes for w in writers),
        "pending": sum(w.status.pending for w in writers),
        "last_error": next((w.status.last_error for w in writers if w.status.last_error), ""),
    }


def kept_json(kept: "Kept | None") -> dict[str, Any] | None:
    """Return what the journal holds and what it does not hold any more; None while that is not known."""
    if kept is None:
        return None
    told: dict[str, Any] = {"bytes": kept.bytes, "limit_bytes": kept.limit_bytes, "tight": kept.tight}
    told |= {"oldest": None if kept.oldest_ms is None else _utc(kept.oldest_ms), "forgotten": kept.forgotten}
    for name, removed in (("thinned", kept.thinned), ("dropped", kept.dropped)):
        span = {"from": _utc(removed.from_wall_ms), "to": _utc(removed.to_wall_ms)} if removed.records else {}
        told[name] = {"records": removed.records, **span}
    return told


def _uplink(agent: "Agent") -> dict[str, Any] | None:
    if agent.sync is None:
        return None
    status = agent.sync.status
    last = status.last_receipt_wall_ms
    return {
        "connected": status.connected,
        "state": status.state,
        "last_error": status.last_error,
        "last_receipt": None if last is None else _utc(last),
        "batches_sent": status.batches_sent,
        "records_sent": status.records_sent,
        "bytes_sent": status.bytes_sent,
        "records_outstanding": status.records_outstanding,
        "halted": status.halted,
        "notes": agent.sync.notes(),
        "settled": agent.sync.settled,
        "waiting": agent.sync.waiting(),
        "links": [dataclasses.asdict(link) for link in agent.sync.links()],
    }


def _registry(agent: "Agent") -> dict[str, Any] | None:
    watch = agent.registry
    if watch is None:
        return None
    return {
        "path": str(agent.config.registry),
        "seen": watch.seen,
        "taken_up": watch.is_taken_up,
        "trouble": watch.trouble,
        "notes": list(watch.notes),
    }


def _publisher(status: "PublishStatus") -> dict[str, Any]:
    last = status.last_published_wall_ms
    return {
        "kind": status.kind,
        "target": status.target,
        "connected": status.connected,
        "state": status.state,
        "last_error": status.last_error,
        "published": status.published,
        "last_published": None if last is None else _utc(last),
        "troubles": status.troubles,
    }


def _power(agent: "Agent") -> dict[str, str] | None:
    if agent.power is None:
        return None
    supply = agent.power.supply
    state = "not known" if supply is None else supply.value
    return {"source": agent.power.source.name, "state": state, "trouble": agent.power.source.trouble}


def _ended(one: Contradiction) -> dict[str, Any]:
    return {
        "log_id": one.log_id.hex(),
        "reason": one.reason,
        "sink_sequence": one.sequence,
        "noticed": _utc(one.noticed_ms),
        "successor": one.successor and one.successor.hex(),
    }


def _utc(wall_ms: int) -> str:
    return datetime.fromtimestamp(wall_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
