"""The disks of a recording: made before the agents start, and described by trails when they have ended."""

import shutil
from pathlib import Path

from packseal_hil.powercut import gateway, logged_disk, trail
from packseal_hil.powercut.sink import LocalSink
from packseal_hil.powercut.trail import Ack, Phase, Trail

SAFE, UNSAFE, NORMAL, LATE = "safe", "unsafe", "normal", "late"
"""The agent as it is, and negative controls: a journal that never syncs, one that does now and then, one too late."""

LEVELS = {UNSAFE: "OFF", NORMAL: "NORMAL", LATE: "LATE"}
"""What unsafe.py is given for each control."""

BYTES = 64 << 20


def issuer_of(name: str) -> str:
    """Return the id of the gateway on the disk of that name."""
    return f"urn:packseal:gateway:{name}"


def make(directory: Path, name: str, sink: LocalSink, uplink: str, speed: float) -> None:
    """Make `directory` with base.img, an installed agent on it, and its key beside it; enrol that at the sink."""
    contents = directory / "contents"
    public_key = gateway.install(contents, issuer_of(name), sink.public_key, uplink, speed)
    sink.enrol(public_key, issuer_of(name))
    key = contents / gateway.DIRECTORY / gateway.KEY
    for file in (key, key.with_suffix(".pub")):
        shutil.copy(file, directory / file.name)
    logged_disk.make_base(directory / logged_disk.BASE, contents, BYTES, name)
    shutil.rmtree(contents)


def describe(directory: Path, name: str, issuer: str, acks: list[Ack], phases: list[Phase]) -> None:
    """Write the trail of the disk in `directory`, on which the gateway `issuer` recorded."""
    described = Trail(
        name=name,
        base=logged_disk.BASE,
        log=logged_disk.LOG,
        key=gateway.KEY,
        issuer=issuer,
        directory=f"/{gateway.DIRECTORY}",
        journal=gateway.JOURNAL,
        acks=acks,
        phases=phases,
    )
    trail.write(directory, described)
