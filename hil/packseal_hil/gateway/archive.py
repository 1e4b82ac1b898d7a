"""The Debian archive that this machine's own apt uses, and what is fetched from it for the guest."""

import os
import re
from pathlib import Path

from packseal_hil.gateway.contents import SUITE, Arch
from packseal_hil.gateway.programs import call
from packseal_hil.rig.protocols import RigError

MIRROR_VARIABLE = "PACKSEAL_HIL_MIRROR"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
TARGET = "$(CREATED_BY) $(ORIGIN) $(CODENAME) $(REPO_URI)"


def mirror() -> str:
    """Return the address of the Debian archive that apt is set up with here; raises RigError."""
    if given := os.environ.get(MIRROR_VARIABLE):
        return given
    return pick(call(["apt-get", "indextargets", "--format", TARGET], "Asking apt for its Debian archive"))


def pick(targets: str) -> str:
    """Return the archive among apt's index targets, one a line in the form of TARGET; raises RigError.

    Before the first `apt-get update` the origin is not known yet; the address then has to end as the archive's does.
    """
    for line in targets.splitlines():
        kind, origin, codename, address = line.split(maxsplit=3)
        known = origin == "Debian" or (origin.startswith("$(") and re.search(r"/debian/?$", address))
        if kind == "Packages" and known and "-" not in codename.removeprefix("$(CODENAME)"):
            return address.rstrip("/")
    raise RigError(f"apt knows no Debian archive on this machine: name one in {MIRROR_VARIABLE}")


class Archive:
    """An apt of its own in `directory`, for one architecture of the guest's suite. The machine's apt is not touched."""

    def __init__(self, directory: Path, arch: Arch) -> None:
        self._directory = directory
        self._arch = arch
        self._is_fresh = False

    def kernel(self) -> str:
        """Return the package name of the suite's newest kernel image; raises RigError."""
        self._refresh()
        meta = f"linux-image-{self._arch}"
        said = call(["apt-cache", *self._options(), "depends", meta], "Looking for the kernel")
        found = re.search(r"Depends: (linux-image-\d\S+)", said)
        if found is None:
            raise RigError(f"the Debian archive has no kernel behind {meta}")
        return found[1]

    def fetch(self, package: str) -> Path:
        """Download one package and return its file; raises RigError."""
        self._refresh()
        kept = self._directory / "packages"
        kept.mkdir(exist_ok=True)
        call(["apt-get", *self._options(), "download", package], f"Downloading {package}", cwd=kept)
        return max(kept.glob(f"{package}_*.deb"), key=lambda path: path.stat().st_mtime)

    def _refresh(self) -> None:
        if self._is_fresh:
            return
        for name in ("state/lists/partial", "cache/archives/partial"):
            (self._directory / name).mkdir(parents=True, exist_ok=True)
        (self._directory / "status").touch()
        source = f"deb [signed-by={KEYRING}] {mirror()} {SUITE} main\n"
        (self._directory / "sources.list").write_text(source)
        call(["apt-get", *self._options(), "update"], "Reading the index of the Debian archive")
        self._is_fresh = True

    def _options(self) -> list[str]:
        settings = {
            "APT::Architecture": self._arch,
            "APT::Architectures": self._arch,
            "APT::Sandbox::User": "root",  # else apt's own user would have to reach this directory
            "Dir::State": self._directory / "state",
            "Dir::State::status": self._directory / "status",
            "Dir::Cache": self._directory / "cache",
            "Dir::Etc::sourcelist": self._directory / "sources.list",
            "Dir::Etc::sourceparts": "/dev/null",
        }
        return [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]
