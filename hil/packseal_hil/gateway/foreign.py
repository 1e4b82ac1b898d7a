"""A tree of another architecture, built without running a program of it: packages are unpacked, not configured."""

import shutil
from pathlib import Path

from packseal_hil.gateway import wheels
from packseal_hil.gateway.archive import KEYRING, Archive, mirror
from packseal_hil.gateway.contents import HOME, PACKAGES, PYTHON, SUITE, Arch
from packseal_hil.gateway.programs import call
from packseal_hil.gateway.tree import Say, Tree

PLACE = "foreign"
LIBRARY = f"lib/python{PYTHON}"
# What packages' own scripts would have made, and the guest needs: users, and which awk is awk (Debian's alternatives).
CONFIGURED = ("etc/passwd", "etc/group", "etc/shadow", "etc/gshadow")
LINKS = {"usr/bin/awk": "mawk", "usr/bin/python3": f"python{PYTHON}"}


class ForeignTree(Tree):
    """A tree of another architecture, inside `native`, whose programs index its modules and compile its Python."""

    def __init__(self, directory: Path, arch: Arch, archive: Archive, native: Path) -> None:
        super().__init__(directory, arch, archive)
        self.tools = native
        self.at = f"/{PLACE}"
        self.root = native / PLACE

    def unpack_debian(self, say: Say) -> None:
        """Unpack Debian's packages into the tree; raises RigError."""
        say("Debian packages")
        shutil.rmtree(self.root, ignore_errors=True)
        self.root.mkdir()
        stage = self._directory / "stage"
        options = ["--foreign", "--variant=minbase", f"--arch={self._arch}", f"--include={','.join(PACKAGES)}"]
        call(
            ["debootstrap", *options, f"--keyring={KEYRING}", SUITE, stage, mirror()],
            "Downloading Debian for the guest",
        )
        for package in sorted((stage / "var/cache/apt/archives").glob("*.deb")):
            call(["dpkg-deb", "--extract", package, self.root], f"Unpacking {package.name}")
        shutil.rmtree(stage)
        for name in CONFIGURED:
            shutil.copy2(self.tools / name, self.root / name)
        for name, target in LINKS.items():
            if not (self.root / name).is_symlink():
                (self.root / name).symlink_to(target)
        self.trim()

    def add_environment(self, checkout: Path, say: Say) -> None:
        """Unpack the wheels where a virtual environment has them, and compile all Python; raises RigError."""
        say("Python packages")
        made, home = self._directory / "wheels", self.root / HOME.removeprefix("/")
        wheel = wheels.build(checkout, self._directory / "project")
        wheels.download(wheel, checkout, self._arch, made)
        wheels.unpack(made, self._arch, home / LIBRARY / "site-packages")
        (home / "bin").mkdir()
        for name in ("python", "python3"):
            (home / "bin" / name).symlink_to(f"/usr/bin/python{PYTHON}")
        (home / "pyvenv.cfg").write_text(f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {PYTHON}\n")
        places = [f"{self.at}/usr/{LIBRARY}", f"{self.at}/usr/lib/python3", f"{self.at}{HOME}/{LIBRARY}"]
        # Exit code 1 says that a file is no Python of this version, such as a template; the others are compiled.
        compiling = ["python3", "-m", "compileall", "-q", "-j", "0", "-s", self.at, *places]
        self.use(["sh", "-c", '"$@" > /dev/null || test $? = 1', "sh", *compiling], "Compiling the guest's Python")
