"""The hand: carries out what the bench asks, one JSON object a line each way. Runs in the guest; standard library only.

Requests have an `id` of the asker's choice, a verb in `do`, and the verb's arguments; several may be under way at once:

    {"id", "do": "run", "command", "timeout_s"}  → {"id", "code", "output"}; past its time: {"id", "error"}
    {"id", "do": "start", "command", "log"}      → {"id", "pid"}; the process group has the same number
    {"id", "do": "put", "path", "content", "mode"} → {"id"}
    {"id", "do": "get", "path"}                  → {"id", "content"}

`output` and `content` are base64. Whatever fails is answered by {"id", "error"}, a line that is no request by one whose
`id` is null. The first line, {"hand": 1}, says that the hand is there.
"""

import base64
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

PORT_NAME = "packseal.hand"
PORTS = Path("/sys/class/virtio-ports")

Request = Mapping[str, Any]
Answer = dict[str, Any]


def run(request: Request) -> Answer:
    """Run a shell command to its end; past its time it and all that it started are killed."""
    with subprocess.Popen(  # noqa: S603 - to run what it is told is what it is for
        ["/bin/sh", "-c", str(request["command"])],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        cwd="/",
    ) as child:
        timeout_s = float(request["timeout_s"])
        try:
            output, _ = child.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            kill_group(child.pid)
            output, _ = child.communicate()
            tail = output[-500:].decode(errors="replace")
            raise TimeoutError(f"not ready after {timeout_s:g} s; it has said: {tail}") from None
    return {"code": child.returncode, "output": base64.b64encode(output).decode()}


def kill_group(group: int) -> None:
    """Kill a process and what it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def start(request: Request) -> Answer:
    """Start a shell command that goes on by itself; nobody waits for it, yet it does not stay a zombie.

    By bash, which becomes a command that is a single one: the process id is then the command's own.
    """
    with Path(str(request["log"])).open("ab") as log:
        child = subprocess.Popen(  # noqa: S603 - as above
            ["/bin/bash", "-c", str(request["command"])],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd="/",
        )
    threading.Thread(target=child.wait, daemon=True).start()
    return {"pid": child.pid}


def put(request: Request) -> Answer:
    """Write a file whole and so that no power cut takes it back: under another name first, synced, renamed, synced."""
    path = Path(str(request["path"]))
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        os.fchmod(file.fileno(), int(request.get("mode", 0o600)))
        file.write(base64.b64decode(request["content"], validate=True))
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)
    directory = os.open(path.parent, os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
    return {}


def get(request: Request) -> Answer:
    """Read a file."""
    return {"content": base64.b64encode(Path(str(request["path"])).read_bytes()).decode()}


VERBS: Mapping[str, Callable[[Request], Answer]] = {"run": run, "start": start, "put": put, "get": get}


def answer(line: bytes) -> Answer:
    """Carry out one line; never raises."""
    asked: object = None
    try:
        request = json.loads(line)
        asked = request["id"]
        return {"id": asked, **VERBS[request["do"]](request)}
    except KeyError as error:
        return {"id": asked, "error": f"no such verb or argument: {error}"}
    except Exception as error:  # noqa: BLE001 - whatever it is, the hand goes on and says what it was
        return {"id": asked, "error": f"{type(error).__name__}: {error}"}


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """Answer every line of `source` until it ends, each in its own thread."""
    lock = threading.Lock()

    def say(what: Answer) -> None:
        with lock:
            sink.write(json.dumps(what).encode() + b"\n")
            sink.flush()

    say({"hand": 1})
    for line in source:
        if line.strip():
            threading.Thread(target=lambda asked=line: say(answer(asked)), daemon=True).start()


def port() -> str:
    """Return the device of the virtio port that is the hand's (https://docs.kernel.org/admin-guide/devices.html)."""
    for entry in PORTS.iterdir():
        if (entry / "name").read_text().strip() == PORT_NAME:
            return f"/dev/{entry.name}"
    raise SystemExit(f"the hand: there is no virtio port {PORT_NAME}")


def main() -> None:
    """Serve the virtio port, or standard input and output when "-" is given."""
    if sys.argv[1:] == ["-"]:
        serve(sys.stdin.buffer, sys.stdout.buffer)
        return
    device = os.open(port(), os.O_RDWR)  # the kernel lets it be opened once only
    with os.fdopen(device, "rb") as source, os.fdopen(os.dup(device), "wb") as sink:
        serve(source, sink)


if __name__ == "__main__":
    main()
