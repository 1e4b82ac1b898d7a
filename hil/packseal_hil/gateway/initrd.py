"""The initial RAM disk: busybox, the modules that the root file system needs, and a script that mounts it."""

import lzma
import shutil
import subprocess
import tempfile
from pathlib import Path

from packseal_hil.gateway.contents import BOOT_MODULES
from packseal_hil.gateway.modules import ModuleTree, name_of
from packseal_hil.gateway.programs import find
from packseal_hil.rig.protocols import RigError

SCRIPT = Path(__file__).parent / "guest" / "first"
APPLETS = ("sh", "mount", "insmod", "switch_root", "sleep", "cat", "echo", "mkdir")


def build(busybox: Path, modules: Path, target: Path) -> None:
    """Write the RAM disk for the kernel whose modules lie in `modules`; raises RigError.

    It is not packed: under emulation unpacking costs more than reading it.
    """
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for directory in ("bin", "proc", "sys", "dev", "newroot", "modules"):
            (root / directory).mkdir()
        shutil.copy(busybox, root / "bin" / "busybox")
        for applet in APPLETS:
            (root / "bin" / applet).symlink_to("busybox")
        shutil.copy(SCRIPT, root / "init")
        (root / "init").chmod(0o755)
        _copy_modules(modules, root / "modules")
        _pack(root, target)


def _copy_modules(modules: Path, into: Path) -> None:
    order = []
    for path in ModuleTree(modules).in_order(BOOT_MODULES):
        name = name_of(str(path))
        content = (modules / path).read_bytes()
        (into / f"{name}.ko").write_bytes(lzma.decompress(content) if path.suffix == ".xz" else content)
        order.append(name)
    (into / "order").write_text("\n".join(order) + "\n")


def _pack(root: Path, target: Path) -> None:
    names = "\n".join(sorted(str(path.relative_to(root)) for path in root.rglob("*")))
    packed = subprocess.run(  # noqa: S603 - a fixed program, no shell
        [find("cpio") or "cpio", "--create", "--format=newc", "--quiet", "--owner=0:0"],
        cwd=root,
        input=names.encode(),
        capture_output=True,
        check=False,
    )
    if packed.returncode:
        raise RigError(f"Packing the initial RAM disk: cpio failed: {packed.stderr.decode(errors='replace').strip()}")
    target.write_bytes(packed.stdout)
