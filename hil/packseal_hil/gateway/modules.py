"""Which kernel modules go into the guest, and in which order they load: read from depmod's tables (modules.dep(5))."""

import shutil
from collections.abc import Iterable
from pathlib import Path


class ModuleTree:
    """The modules of one kernel under `directory`, /usr/lib/modules/VERSION, with depmod's tables in it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._needs: dict[str, list[str]] = {}
        self._path: dict[str, str] = {}
        for line in (directory / "modules.dep").read_text("ascii").splitlines():
            path, needed = line.split(":", 1)
            self._path[name_of(path)] = path
            self._needs[name_of(path)] = needed.split()
        builtin = (directory / "modules.builtin").read_text("ascii").split()
        self._builtin = {name_of(path) for path in builtin}

    def in_order(self, names: Iterable[str]) -> list[Path]:
        """Return the files of these modules and of all that they need, in the order in which they load.

        A name that is built into this kernel, or that it does not have, is left out.
        """
        order: dict[str, None] = {}
        for name in names:
            path = self._path.get(name.replace("-", "_"))
            if path is not None:
                # modules.dep lists what is needed in reverse order of loading.
                order.update(dict.fromkeys([*reversed(self._needs[name_of(path)]), path]))
        return [Path(path) for path in order]

    def missing(self, names: Iterable[str]) -> list[str]:
        """Return those names that this kernel has neither as a module nor built in."""
        return [name for name in names if name not in self._path and name not in self._builtin]

    def copy(self, names: Iterable[str], into: Path) -> None:
        """Copy these modules with all that they need, and the kernel's own tables, to another such directory."""
        for path in self.in_order(names):
            target = into / path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(self._directory / path, target)
        for table in ("modules.builtin", "modules.builtin.modinfo", "modules.order"):
            shutil.copy2(self._directory / table, into / table)


def name_of(path: str) -> str:
    """Return a module's name as the kernel has it: kernel/net/can/can-raw.ko.xz is can_raw."""
    return path.rsplit("/", 1)[-1].split(".ko", 1)[0].replace("-", "_")
