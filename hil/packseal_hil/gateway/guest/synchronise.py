"""Set the guest's clock and tell the kernel that it is disciplined, as an NTP daemon does: adjtimex(2), linux/timex.h.

The argument is what has to be added to CLOCK_BOOTTIME to get the wall clock, in seconds.
"""

import ctypes
import os
import sys
import time

TIMEX_BYTES = 208  # sizeof(struct timex) where long has 64 bits
MODES, MAX_ERROR, ESTIMATED_ERROR, STATUS = 0, 24, 32, 40  # offsets in it
ADJ_MAXERROR, ADJ_ESTERROR, ADJ_STATUS = 0x0004, 0x0008, 0x0010
ERROR_US = 1000  # a few ms are usual on the Internet; over 16 s the kernel counts the clock as unsynchronised again


def main() -> None:
    """Set it; exits with what the kernel said when it refuses."""
    time.clock_settime(time.CLOCK_REALTIME, time.clock_gettime(time.CLOCK_BOOTTIME) + float(sys.argv[1]))
    timex = bytearray(TIMEX_BYTES)
    timex[MODES : MODES + 4] = (ADJ_MAXERROR | ADJ_ESTERROR | ADJ_STATUS).to_bytes(4, "little")
    for at in (MAX_ERROR, ESTIMATED_ERROR):
        timex[at : at + 8] = ERROR_US.to_bytes(8, "little")
    timex[STATUS : STATUS + 4] = bytes(4)  # STA_UNSYNC and all others cleared
    if ctypes.CDLL(None, use_errno=True).adjtimex((ctypes.c_char * TIMEX_BYTES).from_buffer(timex)) < 0:
        raise SystemExit(f"adjtimex: {os.strerror(ctypes.get_errno())}")


if __name__ == "__main__":
    main()
