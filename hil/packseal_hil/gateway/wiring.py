"""What a guest's machine is made of, and QEMU's command line for it."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from packseal_hil.gateway.contents import BOARDS, Arch
from packseal_hil.gateway.guest.hand import PORT_NAME
from packseal_hil.gateway.image import Image

SECTOR_BYTES = 512  # dm-log-writes counts in these (https://docs.kernel.org/admin-guide/device-mapper/log-writes.html)
UART_CARDS = (("pci-serial", ("chardev",)), ("pci-serial-2x", ("chardev1", "chardev2")))
SHARE_TAG = "hil"


@dataclass(frozen=True, slots=True)
class DataDisk:
    """A disk of raw sectors. Every write to it, with flushes in order, is appended to `log` where one is named."""

    image: Path
    log: Path | None = None


@dataclass(frozen=True, slots=True)
class Parts:
    """What a machine is fitted with.

    `disks`: the one whose file system has the label "packseal" is mounted at /var/lib/packseal.
    `mount_options`: with which they are mounted.
    `uarts`: names of serial ports, at most two: Unix sockets of that name here, Board.uarts in the guest.
    `tpm`: whether there is a TPM 2.0.
    `rtc_wall_s`: the clock chip's time at power-on, in seconds since 1970; None: this machine's time.
    `init`: "small", or "systemd", which takes longer to boot.
    `units`: content of systemd units by name, enabled at boot; only with init = "systemd".
    """

    disks: tuple[DataDisk, ...] = ()
    mount_options: str = "noatime"
    uarts: tuple[str, ...] = ()
    tpm: bool = False
    rtc_wall_s: float | None = None
    init: str = "small"
    units: Mapping[str, str] = field(default_factory=dict)
    memory_mb: int = 768
    tap_fd: int | None = None
    """This machine's end of the guest's network, see tap.py; None: QEMU's user network."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where the files of one machine are: `work` keeps what outlives its power, `sockets` its Unix sockets."""

    work: Path
    sockets: Path

    @property
    def share(self) -> Path:
        """The directory that the guest sees, read-only, as /hil."""
        return self.work / "share"

    @property
    def console(self) -> Path:
        """The log of the serial console, all boots one after another."""
        return self.work / "console.log"

    @property
    def complaints(self) -> Path:
        """What QEMU itself has to say of its last start."""
        return self.work / "qemu.log"


def command(image: Image, parts: Parts, places: Places) -> list[str]:
    """Return the command line that runs `image` with `parts`, under software emulation."""
    board = BOARDS[image.arch]
    # One virtual processor: two of them on a host with two processors boot slower.
    words = [board.qemu, "-M", board.machine, "-accel", "tcg", "-cpu", board.cpu, "-smp", "1"]
    words += ["-m", str(parts.memory_mb), "-display", "none", "-nodefaults", "-no-user-config", "-no-reboot"]
    words += ["-kernel", str(image.kernel), "-initrd", str(image.initrd), "-append", _append(image.arch, parts.init)]
    words += ["-chardev", f"file,id=console,path={_q(places.console)},append=on", "-serial", "chardev:console"]
    words += ["-qmp", f"unix:{_q(places.sockets / 'qmp')},server=on,wait=off"]
    # Writes to the root disk go to a file that QEMU throws away.
    words += ["-drive", f"file={_q(image.root)},if=none,id=root,format=raw,snapshot=on,cache=unsafe"]
    words += ["-device", "virtio-blk-pci,drive=root", "-device", "virtio-rng-pci", "-rtc", _rtc(parts.rtc_wall_s)]
    words += ["-fsdev", f"local,id=hil,path={_q(places.share)},security_model=none,readonly=on"]
    words += ["-device", f"virtio-9p-pci,fsdev=hil,mount_tag={SHARE_TAG}"]
    words += ["-device", "virtio-serial-pci", *_socket("hand", places.sockets / "hand")]
    words += ["-device", f"virtserialport,chardev=hand,name={PORT_NAME}"]
    network = "user,id=net,ipv6=off" if parts.tap_fd is None else f"tap,id=net,fd={parts.tap_fd}"
    words += ["-netdev", network, "-device", "virtio-net-pci,netdev=net,id=nic,romfile="]
    for index, disk in enumerate(parts.disks):
        words += _disk(index, disk)
    words += _uarts([places.sockets / name for name in parts.uarts])
    return words + (_tpm(places.sockets / "tpm") if parts.tpm else [])


def _q(path: Path) -> str:
    """Return a path as QEMU's option lists want it: a comma is written twice."""
    return str(path).replace(",", ",,")


def _append(arch: Arch, init: str) -> str:
    kernel = "panic=-1 quiet mitigations=off random.trust_cpu=on net.ifnames=0"
    return f"console={BOARDS[arch].console} {kernel} packseal.init={init}"


def _rtc(wall_s: float | None) -> str:
    if wall_s is None:
        return "base=utc,clock=host"
    return f"base={time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(wall_s))},clock=vm"


def _socket(name: str, path: Path) -> list[str]:
    return ["-chardev", f"socket,id={name},path={_q(path)},server=on,wait=off"]


def _disk(index: int, disk: DataDisk) -> list[str]:
    name = f"data{index}"
    words = ["-blockdev", f"driver=file,filename={_q(disk.image)},node-name={name}f"]
    if disk.log is None:
        words += ["-blockdev", f"driver=raw,file={name}f,node-name={name}"]
    else:
        words += ["-blockdev", f"driver=file,filename={_q(disk.log)},node-name={name}l"]
        logged = f"driver=blklogwrites,file={name}f,log={name}l,node-name={name},log-sector-size={SECTOR_BYTES}"
        words += ["-blockdev", logged]
    return [*words, "-device", f"virtio-blk-pci,drive={name},write-cache=on"]


def _uarts(paths: Sequence[Path]) -> list[str]:
    if not paths:
        return []
    card, slots = UART_CARDS[len(paths) - 1]
    words = [word for index, path in enumerate(paths) for word in _socket(f"uart{index}", path)]
    plugged = ",".join(f"{slot}=uart{index}" for index, slot in enumerate(slots))
    return [*words, "-device", f"{card},{plugged}"]


def _tpm(path: Path) -> list[str]:
    words = ["-chardev", f"socket,id=tpm,path={_q(path)}", "-tpmdev", "emulator,id=tpm0,chardev=tpm"]
    return [*words, "-device", "tpm-tis,tpmdev=tpm0"]
