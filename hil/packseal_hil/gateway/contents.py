"""What goes into the guest: Debian packages, kernel modules, wheels, and what differs between the two architectures."""

import enum
from dataclasses import dataclass

SUITE = "trixie"  # Debian 13: kernel 6.12, Python 3.13; what Raspberry Pi OS is made of
PYTHON = "3.13"
HOME = "/opt/packseal"  # the virtual environment of docs/operations.md
EXTRAS = ("gateway", "ble")

PACKAGES = (
    "bluez",
    "can-utils",
    "dbus",
    "e2fsprogs",
    "iproute2",
    "iputils-ping",
    "kmod",
    "libtss2-tcti-device0t64",  # tpm2-tools speak to /dev/tpmrm0 through it
    "mount",
    "procps",
    "python3",
    "python3-venv",
    "sqlite3",
    "systemd",
    "systemd-sysv",
    "tpm2-tools",
)
# The project's own tests of its CAN links run in the guest.
TEST_WHEELS = ("pytest", "pytest-timeout", "hypothesis")

# Loaded before the root file system is there. crc32c is asked of the kernel's crypto by ext4, by name.
BOOT_MODULES = ("virtio_pci", "virtio_blk", "crc32c_generic", "ext4", "9pnet_virtio", "9p", "virtio_console")
MODULES = (
    *BOOT_MODULES,
    *("can", "can_raw", "can_bcm", "can_gw", "can_isotp", "can_j1939", "can_dev", "vcan", "vxcan", "slcan"),
    *("bluetooth", "hci_uart", "hci_vhci", "bnep", "uhid"),
    # The kernel's Bluetooth asks for these by name, for pairing and for random addresses.
    *("ccm", "cmac", "ecb", "algif_skcipher", "algif_hash", "ecdh_generic", "aes_generic", "sha256_generic", "hmac"),
    *("virtio_net", "virtio_rng", "veth", "dummy", "ifb"),
    "tcp_bbr",  # which the agent chooses where it may
    *("sch_netem", "sch_ingress", "sch_tbf", "act_mirred", "act_gact", "cls_matchall", "cls_u32"),
    *("overlay", "loop", "softdog", "tpm_tis", "tpm_crb"),
)


class Arch(enum.StrEnum):
    """Architectures, by Debian's names."""

    AMD64 = "amd64"
    ARM64 = "arm64"


@dataclass(frozen=True, slots=True)
class Board:
    """What QEMU emulates for an architecture, and how wheels name it; `uarts` are the guest's names of Parts.uarts."""

    qemu: str
    qemu_package: str
    machine: str
    cpu: str
    console: str
    wheel_machine: str
    uarts: tuple[str, str]


BOARDS = {
    Arch.AMD64: Board("qemu-system-x86_64", "qemu-system-x86", "q35", "qemu64", "ttyS0", "x86_64", ("ttyS1", "ttyS2")),
    # Cortex-A72 is the core of the Raspberry Pi 4 (BCM2711).
    Arch.ARM64: Board(
        "qemu-system-aarch64", "qemu-system-arm", "virt", "cortex-a72", "ttyAMA0", "aarch64", ("ttyS0", "ttyS1")
    ),
}

OLDEST_GLIBC, NEWEST_GLIBC = 17, 41  # 2.17 is manylinux2014 (PEP 599); trixie has 2.41


def wheel_platforms(arch: Arch) -> list[str]:
    """Return every platform tag whose wheels run in the guest (PEP 600)."""
    machine = BOARDS[arch].wheel_machine
    return [f"manylinux_2_{minor}_{machine}" for minor in range(OLDEST_GLIBC, NEWEST_GLIBC + 1)] + [
        f"manylinux2014_{machine}"
    ]
