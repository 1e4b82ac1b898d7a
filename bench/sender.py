"""`python -m bench.sender MEDIUM PORT FRAMES_PER_S FRAMES`: frames of the reference pack, one at a time, evenly."""

import sys
import time

from bench import frames, medium
from packseal_drivers import profile

DISTINCT = 3_000


def main() -> None:
    """Send them all; waiting is done awake, so that every frame leaves on its own."""
    name, port, rate, count = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
    medium.settle(0)
    cycle = frames.sound(profile.load("packseal/reference96"), DISTINCT)
    raw = [medium.CAN_FRAME.pack(address, len(data), data) for address, data in cycle]
    with medium.sending(name, port) as end:
        began = time.perf_counter()
        for number in range(count):
            while time.perf_counter() < began + number / rate:
                pass
            end.send(raw[number % DISTINCT])


if __name__ == "__main__":
    main()
