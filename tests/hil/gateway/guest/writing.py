"""In the guest: writes to one open file, in place and behind its end, and syncs. Argument: the file."""

import os
import sys
import time
from collections.abc import Callable

PAGE = b"x" * 4096


def outcome(write: Callable[[], object]) -> str:
    try:
        write()
        os.fsync(file)
    except OSError as error:
        return error.strerror or "failed"
    return "stored"


file = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
os.pwrite(file, PAGE * 16, 0)
os.fsync(file)
print("open", flush=True)  # noqa: T201 - what the test waits for
while True:
    in_place = outcome(lambda: os.pwrite(file, PAGE, 8192))
    behind = outcome(lambda: os.pwrite(file, PAGE, os.fstat(file).st_size))
    print(f"in place: {in_place}, behind: {behind}", flush=True)  # noqa: T201
    time.sleep(0.3)
