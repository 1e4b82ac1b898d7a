"""The guest's image, built once and kept: Debian in one layer, this checkout's wheel in another.

The first layer depends on lists and the lock; it takes minutes. The second depends on the project's files; it takes
seconds, and is unpacked over the first at every boot, so that the agent in the guest is always this checkout's.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from packseal_hil.gateway import contents, initrd, wheels
from packseal_hil.gateway.archive import Archive
from packseal_hil.gateway.contents import BOARDS, BOOT_MODULES, MODULES, PACKAGES, SUITE, Arch
from packseal_hil.gateway.foreign import ForeignTree
from packseal_hil.gateway.programs import call, need, need_root
from packseal_hil.gateway.tree import Say, Tree
from packseal_hil.rig.protocols import RigError

CACHE_VARIABLE = "PACKSEAL_HIL_CACHE"
FORMAT = 1  # of the first layer: raise it when the way it is built changes
BUILDERS = {
    "debootstrap": "debootstrap",
    "dpkg-deb": "dpkg",
    "cpio": "cpio",
    "mke2fs": "e2fsprogs",
    "chroot": "coreutils",
    "tar": "tar",
}
A_DAY_S = 86_400
NATIVE = Arch.AMD64  # the tree whose programs this machine can run
MEBIBYTE = 1 << 20
SPARE_BYTES = 300 * MEBIBYTE  # for what the guest writes


@dataclass(frozen=True, slots=True)
class Image:
    """Files that boot the guest. `project` is unpacked over `root` at boot; `built_s` is 0 where it was cached."""

    arch: Arch
    kernel: Path
    initrd: Path
    root: Path
    project: Path
    built_s: float = 0


def cache_directory() -> Path:
    """Return where images are kept: PACKSEAL_HIL_CACHE, else .hil in the checkout."""
    return Path(os.environ.get(CACHE_VARIABLE) or wheels.CHECKOUT / ".hil")


def debian_key(checkout: Path, arch: Arch) -> str:
    """Return a digest of all that decides the first layer."""
    lists = (FORMAT, SUITE, str(arch), PACKAGES, MODULES, BOOT_MODULES, contents.HOME)
    first = initrd.SCRIPT.read_bytes()
    return hashlib.sha256(repr(lists).encode() + first + wheels.requirements_key(checkout)).hexdigest()[:16]


def is_cached(cache: Path, arch: Arch = Arch.AMD64) -> bool:
    """Whether the first layer is there, so that a guest boots within seconds."""
    return (_debian(cache, arch) / "root.ext4").is_file()


def ensure(cache: Path, arch: Arch = Arch.AMD64) -> Image:
    """Return the image of this checkout, building what is not in `cache`; raises RigError."""
    board, began_s = BOARDS[arch], time.monotonic()
    need({board.qemu: board.qemu_package}, "The virtual gateway")
    directory = _debian(cache, arch)
    with _alone(cache), progress(f"Virtual gateway ({arch})") as say:
        project = _project(_debian(cache, NATIVE))
        if is_new := not (is_cached(cache, arch) and project.is_file()):
            need_root("Building the image of the virtual gateway")
            need(BUILDERS, "Building the image of the virtual gateway")
            forget_old(cache)
            for each in dict.fromkeys((NATIVE, arch)):
                if not is_cached(cache, each):
                    _build_debian(cache, each, say)
            _build_project(cache, project, say)
        for used in (directory, project):
            os.utime(used)
    took_s = time.monotonic() - began_s if is_new else 0
    return Image(arch, directory / "kernel", directory / "initrd", directory / "root.ext4", project, took_s)


@contextlib.contextmanager
def progress(title: str) -> Iterator[Say]:
    """Show on standard error which step is under way, and how long each took."""
    console = Console(stderr=True, log_path=False)
    with console.status(title) as status:

        def say(step: str) -> None:
            status.update(f"{title}: {step}")
            console.log(f"{title}: {step}")

        yield say


@contextlib.contextmanager
def _alone(cache: Path) -> Iterator[None]:
    """Let one process at a time build in this cache; raises RigError where it cannot be written."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with (cache / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    except PermissionError as error:
        raise RigError(f"the images of the virtual gateway cannot be kept in {cache}: {error.strerror}") from error


def forget_old(cache: Path) -> None:
    """Remove what nobody has asked for in a day: an image takes more than a gigabyte, a project some megabytes.

    What is younger may be in use: another bench boots from it again.
    """
    long_ago_s = time.time() - A_DAY_S
    for other in cache.glob("*/root.ext4"):
        if other.parent.stat().st_mtime < long_ago_s:
            shutil.rmtree(other.parent)
    for other in cache.glob("*/project-*.tar"):
        if other.stat().st_mtime < long_ago_s:
            other.unlink()


def _debian(cache: Path, arch: Arch) -> Path:
    return cache / f"{arch}-{debian_key(wheels.CHECKOUT, arch)}"


def _project(directory: Path) -> Path:
    return directory / f"project-{wheels.project_key(wheels.CHECKOUT)}.tar"


def _tree(cache: Path, arch: Arch) -> Tree:
    directory = _debian(cache, arch)
    archive = Archive(directory / "apt", arch)
    if arch is NATIVE:
        return Tree(directory, arch, archive)
    return ForeignTree(directory, arch, archive, Tree(_debian(cache, NATIVE), NATIVE, archive).root)


def _build_debian(cache: Path, arch: Arch, say: Say) -> None:
    """Build the first layer; root.ext4 gets its name last, so that what was interrupted is built again."""
    directory = _debian(cache, arch)
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    (directory / "apt").mkdir()
    tree = _tree(cache, arch)
    tree.unpack_debian(say)
    tree.add_kernel(say)
    busybox = directory / "busybox"
    call(["dpkg-deb", "--extract", tree.fetch("busybox-static"), busybox], "Unpacking busybox")
    initrd.build(_program(busybox), tree.modules, directory / "initrd")
    tree.finish()
    tree.add_environment(wheels.CHECKOUT, say)
    say("root disk")
    part = directory / "root.part"
    _make_disk(tree.root, part)
    shutil.rmtree(directory / "apt")
    if arch is not NATIVE:
        shutil.rmtree(tree.root)
    part.rename(directory / "root.ext4")


def _program(unpacked: Path) -> Path:
    for name in ("usr/bin/busybox", "bin/busybox"):
        if (unpacked / name).is_file():
            return unpacked / name
    raise RigError("Debian's package busybox-static holds no busybox any more: look where it is now")


def _make_disk(root: Path, target: Path) -> None:
    size = sum(path.lstat().st_size for path in root.rglob("*") if not path.is_symlink())
    with target.open("wb") as file:
        file.truncate((size + size // 4 + SPARE_BYTES) & -MEBIBYTE)
    call(["mke2fs", "-q", "-F", "-t", "ext4", "-L", "root", "-d", root, target], "Making the guest's root disk")


def _build_project(cache: Path, target: Path, say: Say) -> None:
    """Build the second layer, one for all architectures: what pip would install and compile, as files to unpack."""
    say("the project's wheel")
    tree = _tree(cache, NATIVE)
    made, layer = tree.root / "opt/project", tree.root / "opt/layer"
    for path in (made, layer):
        shutil.rmtree(path, ignore_errors=True)
    wheel = wheels.build(wheels.CHECKOUT, made)
    tree.install(["--quiet", "--force-reinstall", "--root", "/opt/layer", f"/opt/project/{wheel.name}"])
    call(["tar", "--create", "--file", target.with_suffix(".part"), "-C", layer, "."], "Packing the project")
    target.with_suffix(".part").rename(target)
    for path in (made, layer):
        shutil.rmtree(path)


if __name__ == "__main__":
    ensure(cache_directory(), Arch(sys.argv[1]) if sys.argv[1:] else NATIVE)
