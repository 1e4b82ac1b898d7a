"""What the agent of a recording finds in its directory, and what a recording needs of the machine that it runs on."""

from pathlib import Path
from typing import Protocol

from packseal.keys import file as key_file
from packseal_hil.powercut import load

DIRECTORY = "packseal"
JOURNAL = "journal.db"
KEY = "gateway.key"
LOAD = "load.log"
LOAD_S = 20_000
"""Seconds of the recording: over eight minutes at 40 times its speed."""

CONFIG = """\
[gateway]
id = "{issuer}"
key = "{key}"
journal = "{journal}"
socket = "s"
window_s = 1
drain_s = 20

[uplink]
sink_key = "sink.pub"
{uplink}

[[battery]]
id = "{battery}"
profile = "{profile}"
period_s = 0

[battery.link]
kind = "recording"
path = "../{load}"
speed = {speed:.1f}
"""


class Station(Protocol):
    """One agent on one logged disk."""

    @property
    def issuer(self) -> str:
        """The gateway's id."""

    @property
    def control(self) -> bool:
        """Whether it is the negative control."""

    @property
    def log_bytes(self) -> int:
        """The position that the log of the disk's writes has reached."""

    async def start(self) -> None:
        """Start the agent; raises RigError."""

    async def stop(self) -> None:
        """Ask it to end and wait until it has; raises RigError."""

    async def kill(self) -> None:
        """End it without warning; what it wrote stays with the kernel."""

    async def check(self) -> None:
        """Raise RigError when the agent has ended by itself."""

    async def stored(self) -> dict[bytes, int]:
        """Return how many records it says it has stored since it was started, by log; nothing where it is not asked."""


def install(contents: Path, issuer: str, sink_key: bytes, uplink: str, speed: float) -> bytes:
    """Write what is on the disk before the agent's first start; return the gateway's public key.

    Args:
        contents: becomes the root of the disk.
        issuer: the gateway's id.
        sink_key: the sink's public key, as PEM.
        uplink: the rest of the [uplink] table, from `kind` on.
        speed: how fast the recording is played; windows sealed and stored per second.
    """
    directory = contents / DIRECTORY
    directory.mkdir(parents=True)
    key_file.create(directory / KEY)
    (directory / "sink.pub").write_bytes(sink_key)
    text = CONFIG.format(
        issuer=issuer,
        key=KEY,
        journal=JOURNAL,
        uplink=uplink,
        battery=issuer.replace("gateway", "battery"),
        profile=load.PROFILE,
        load=LOAD,
        speed=speed,
    )
    (directory / "packseal.toml").write_text(text, "utf-8")
    load.write(contents / LOAD, LOAD_S)
    return (directory / KEY).with_suffix(".pub").read_bytes()
