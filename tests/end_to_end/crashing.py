"""A process that does one piece of work on a journal or a sink, and is killed at the system call of a given number.

A small server, started once, forks for each piece of work and follows the fork's system calls (ptrace(2)): so it costs
milliseconds, and the same number always meets the same call. What the fork has written stays, as after `kill -9`.
"""

import ctypes
import os
import pickle
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from packseal.clock import SystemClock
from packseal.core.chain import SealedRecord
from packseal.core.cose import PublicKey
from packseal.core.exchange import verify_receipt
from packseal.core.holes import Hole
from packseal.journal.store import Journal
from packseal.keys.file import FileSigner
from packseal.runtime import epochs
from packseal_sink.database import Database
from packseal_sink.ingest import Ingest
from packseal_sink.store import Store

TRACE_ME, TO_THE_NEXT_CALL, SET_OPTIONS = 0, 24, 0x4200  # <sys/ptrace.h>
MARK_CALLS, CALL = 1, signal.SIGTRAP | 0x80  # PTRACE_O_TRACESYSGOOD
ANSWER_S = 60
_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
_LIBC.ptrace.restype = ctypes.c_long

Work = Callable[..., object]


@dataclass(frozen=True, slots=True)
class End:
    """How the work ended: `calls` system calls were begun; `trouble` is what it raised."""

    finished: bool
    calls: int
    trouble: str = ""


def append(journal: Path, log_id: bytes, records: Sequence[SealedRecord], removed: Sequence[Hole]) -> None:
    """Append to the journal and remove from it."""
    Journal.open(journal).append(log_id, records, None, removed)


def acknowledge(journal: Path, receipt: bytes, sink_key: bytes) -> None:
    """Keep a receipt of the sink whose private key this is."""
    Journal.open(journal).acknowledge(verify_receipt(receipt, public(sink_key)))


def succeed(journal: Path, key: bytes, issuer: str) -> None:
    """Begin a new log for each one that is contradicted."""
    epochs.begin(Journal.open(journal), signer(key), issuer, SystemClock())


def store(database: Path, key: bytes, issuer: str, now_ms: int, request: bytes) -> None:
    """Take a request as a sink."""
    Ingest(Store(Database(database, write=True)), signer(key), issuer, lambda: now_ms).handle(request)


def signer(key: bytes) -> FileSigner:
    """Return the signer of a private key's 32 bytes."""
    return FileSigner(Ed25519PrivateKey.from_private_bytes(key))


def public(key: bytes) -> PublicKey:
    """Return the public half."""
    return signer(key).public


class Crasher:
    """The server. `close` ends it."""

    def __init__(self) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self._server = subprocess.Popen(
            [sys.executable, "-c", "from tests.end_to_end import crashing; crashing.serve()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            cwd=Path(__file__).parents[2],
        )

    def run(self, at_call: int, work: Work, *arguments: object) -> End:
        """Do the work in a process that is killed as it begins its system call number `at_call`, if it gets there."""
        there, back = self._server.stdin, self._server.stdout
        assert there is not None
        assert back is not None
        pickle.dump((at_call, work.__name__, arguments), there)
        there.flush()
        end: End = pickle.load(back)
        assert not end.trouble, end.trouble
        return end

    def close(self) -> None:
        """End the server."""
        self._server.communicate(timeout=ANSWER_S)


def serve() -> None:
    """Do what is asked on standard input, until it ends."""
    while True:
        try:
            at_call, name, arguments = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        pickle.dump(_crash(at_call, globals()[name], arguments), sys.stdout.buffer)
        sys.stdout.buffer.flush()


def _crash(at_call: int, work: Work, arguments: Sequence[Any]) -> End:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _be_traced(work, arguments, writing)
    os.close(writing)
    os.waitpid(child, 0)
    _LIBC.ptrace(SET_OPTIONS, child, None, MARK_CALLS)
    calls, status = _follow(child, at_call)
    with os.fdopen(reading) as said:
        trouble = said.read()
    return End(os.WIFEXITED(status), calls, trouble)


def _be_traced(work: Work, arguments: Sequence[Any], writing: int) -> None:
    """Never returns: ends without closing anything, as a process that is killed does."""
    try:
        if _LIBC.ptrace(TRACE_ME, 0, None, None):
            os.write(writing, f"this machine lets no process be traced: {os.strerror(ctypes.get_errno())}".encode())
        os.kill(os.getpid(), signal.SIGSTOP)
        work(*arguments)
    except BaseException:  # noqa: BLE001 - it is told
        os.write(writing, traceback.format_exc().encode())
    finally:
        os._exit(0)


def _follow(child: int, at_call: int) -> tuple[int, int]:
    """Return how many system calls were begun, and the status that it ended with."""
    calls, begins, pass_on = 0, True, 0
    while True:
        _LIBC.ptrace(TO_THE_NEXT_CALL, child, None, pass_on)
        _, status = os.waitpid(child, 0)
        if not os.WIFSTOPPED(status):
            return calls, status
        stopped_by = os.WSTOPSIG(status)
        pass_on = 0 if stopped_by == CALL else stopped_by
        if stopped_by == CALL:
            if begins and calls == at_call:
                os.kill(child, signal.SIGKILL)
                _, status = os.waitpid(child, 0)
                return calls, status
            calls += begins
            begins = not begins
