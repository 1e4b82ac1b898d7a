"""Wheels for the guest: this checkout's own, and what it and its tests depend on, pinned by the lock."""

import hashlib
import sys
import tomllib
from pathlib import Path

from packseal_hil.gateway.contents import EXTRAS, PYTHON, TEST_WHEELS, Arch, wheel_platforms
from packseal_hil.gateway.programs import call

CHECKOUT = Path(__file__).parents[3]
LOCK = Path("requirements/dev.lock")
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")


def packaged(checkout: Path) -> list[Path]:
    """Return the files of which the project's wheel is made."""
    build = tomllib.loads((checkout / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    files = [checkout / name for name in ("pyproject.toml", "README.md", "LICENSE")]
    for package in build["packages"]:
        files += [
            path for path in (checkout / package).rglob("*") if path.is_file() and "__pycache__" not in path.parts
        ]
    return sorted(files)


def project_key(checkout: Path) -> str:
    """Return a digest of the project's wheel: it changes when, and only when, a file of it does."""
    digest = hashlib.sha256()
    for path in packaged(checkout):
        digest.update(f"{path.relative_to(checkout)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def requirements_key(checkout: Path) -> bytes:
    """Return what decides which other wheels go into the guest: what the project depends on, and the lock."""
    project = tomllib.loads((checkout / "pyproject.toml").read_text())["project"]
    wanted = {extra: project["optional-dependencies"][extra] for extra in ("can", "mqtt", "https", "registry", *EXTRAS)}
    return repr((project["dependencies"], wanted, TEST_WHEELS)).encode() + (checkout / LOCK).read_bytes()


def build(checkout: Path, into: Path) -> Path:
    """Build the project's wheel; raises RigError."""
    into.mkdir(parents=True, exist_ok=True)
    building = ("wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", into, checkout)
    call([*PIP, *building], "Building the project's wheel")
    return next(into.glob("packseal-*.whl"))


def download(wheel: Path, checkout: Path, arch: Arch, into: Path) -> None:
    """Download what the project's wheel and its tests depend on, for the guest's Python; raises RigError."""
    into.mkdir(parents=True, exist_ok=True)
    wanted = [f"{wheel}[{','.join(EXTRAS)}]", *TEST_WHEELS]
    options = ["--constraint", str(checkout / LOCK), "--dest", str(into)]
    call([*PIP, "download", *_for_guest(arch), *options, *wanted], "Downloading the guest's wheels")
    for copied in into.glob("packseal-*.whl"):
        copied.unlink()


def unpack(made: Path, arch: Arch, into: Path) -> None:
    """Unpack the wheels in `made` without running the guest's Python; raises RigError."""
    options = ["--no-index", "--no-deps", "--no-compile", "--target", str(into)]
    names = sorted(str(path) for path in made.glob("*.whl"))
    call([*PIP, "install", *_for_guest(arch), *options, *names], "Unpacking the guest's wheels")


def _for_guest(arch: Arch) -> list[str]:
    platforms = [word for platform in wheel_platforms(arch) for word in ("--platform", platform)]
    return ["--quiet", "--only-binary=:all:", "--python-version", PYTHON, *platforms]
