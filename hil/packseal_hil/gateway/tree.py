"""The guest's root file system as a directory: Debian, the kernel with its modules, and the virtual environment."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from packseal_hil.gateway import wheels
from packseal_hil.gateway.archive import KEYRING, Archive, mirror
from packseal_hil.gateway.contents import HOME, MODULES, PACKAGES, SUITE, Arch
from packseal_hil.gateway.modules import ModuleTree
from packseal_hil.gateway.programs import call

# Nobody reads these in the guest, and they are a quarter of it.
UNREAD = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "var/cache/apt", "var/lib/apt/lists")

Say = Callable[[str], None]


class Tree:
    """The tree of this machine's own architecture, built step by step in `directory`, with its own programs.

    `tools` is the tree whose programs are run and `at` where in it this tree lies; here it is the same.
    """

    def __init__(self, directory: Path, arch: Arch, archive: Archive) -> None:
        self.root = self.tools = directory / "root"
        self.at = ""
        self.kernel = directory / "kernel"
        self._directory = directory
        self._arch = arch
        self._archive = archive

    @property
    def modules(self) -> Path:
        """The directory of the kernel's own modules, all of them, with depmod's tables."""
        return next((self.root / "kernel/usr/lib/modules").iterdir())

    def fetch(self, package: str) -> Path:
        """Download one package of this tree's architecture and return its file; raises RigError."""
        return self._archive.fetch(package)

    def use(self, argv: Sequence[str], doing: str) -> None:
        """Run a program of `tools`; raises RigError."""
        call(["chroot", self.tools, *argv], doing)

    def unpack_debian(self, say: Say) -> None:
        """Install Debian into the tree, its packages configured; raises RigError."""
        say("Debian packages")
        self._let_go()
        shutil.rmtree(self.root, ignore_errors=True)
        options = [
            "--variant=minbase",
            f"--arch={self._arch}",
            f"--include={','.join(PACKAGES)}",
            f"--keyring={KEYRING}",
        ]
        call(["debootstrap", *options, SUITE, self.root, mirror()], "Installing Debian for the guest")
        self._let_go()
        self.trim()

    def _let_go(self) -> None:
        """Unmount the tree's /proc where debootstrap could not: somebody who looks through it keeps it busy."""
        proc = self.root / "proc"
        if proc.is_mount():
            call(["umount", "--lazy", proc], "Unmounting what debootstrap had mounted")

    def trim(self) -> None:
        """Take out what nobody reads in the guest, and name it."""
        for name in UNREAD:
            shutil.rmtree(self.root / name, ignore_errors=True)
        (self.root / "etc/hostname").write_text("gateway\n")
        (self.root / "etc/resolv.conf").write_text("")
        (self.root / "hil").mkdir()

    def add_kernel(self, say: Say) -> None:
        """Unpack the kernel, and put those modules into the tree that the guest needs; raises RigError."""
        name = self._archive.kernel()
        say(f"kernel {name.removeprefix('linux-image-')}")
        whole = self.root / "kernel"  # inside the tree, so that the tree's own depmod can index it
        call(["dpkg-deb", "--extract", self._archive.fetch(name), whole], "Unpacking the kernel")
        (whole / "lib").symlink_to("usr/lib")  # where depmod looks below its base directory
        shutil.copy(next((whole / "boot").glob("vmlinuz-*")), self.kernel)
        version = self.modules.name
        self.use(["depmod", "--basedir", f"{self.at}/kernel", version], "Indexing the kernel's modules")
        kept = self.root / "usr/lib/modules" / version
        ModuleTree(self.modules).copy(MODULES, kept)
        self.use(["depmod", "--basedir", f"{self.at}/", version], "Indexing the guest's modules")

    def add_environment(self, checkout: Path, say: Say) -> None:
        """Make the virtual environment with all that the project depends on, not yet the project; raises RigError."""
        say("Python packages")
        made = self.root / "opt/wheels"
        wheels.download(wheels.build(checkout, self._directory / "project"), checkout, self._arch, made)
        self.use(["python3", "-m", "venv", HOME], "Making the guest's virtual environment")
        self.install(["--quiet", *sorted(f"/opt/wheels/{path.name}" for path in made.iterdir())])
        shutil.rmtree(made)

    def install(self, arguments: list[str]) -> None:
        """Run pip in the tree without a network; raises RigError."""
        # The build machine's own pip settings name directories that are not in the tree.
        clean = ["env", "-i", "HOME=/root", "PATH=/usr/bin:/bin", "LANG=C.UTF-8", "PIP_DISABLE_PIP_VERSION_CHECK=1"]
        pip = [*clean, f"{HOME}/bin/python", "-m", "pip", "install", "--no-index", "--no-deps"]
        self.use([*pip, *arguments], "Installing Python packages in the guest")

    def finish(self) -> None:
        """Take out what only the building needed."""
        shutil.rmtree(self.root / "kernel")
