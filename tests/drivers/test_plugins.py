"""Drivers of other packages: found by their entry point, held to the contract; a fault of theirs is one line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ACME = '''"""A driver that counts: every second of its clock a sample."""
import asyncio
from packseal.core.errors import ConfigError
from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import LinkCounts, LinkState, Sample

V = Channel(Quantity.PACK_VOLTAGE_V)

class Acme:
    def __init__(self, wiring):
        self.name = wiring.profile.profile.name
        self.delivers = frozenset({Quantity.PACK_VOLTAGE_V})
        self.period_s, self.clock, self.counts = wiring.period_s, wiring.clock, LinkCounts()
        self.volts = wiring.options["volts"]

    async def batches(self):
        self.counts.state = LinkState.HEALTHY
        while True:
            await asyncio.sleep(0.01)
            self.counts.frames += 1
            self.counts.samples += 1
            yield [Sample(self.clock.now(), {V: float(self.volts)})]

def open_driver(wiring):
    if set(wiring.options) != {"volts"}:
        raise ConfigError("acme: options must be volts, and nothing else")
    if wiring.options["volts"] == 0:
        raise ZeroDivisionError("no volts\\nat all")
    return Acme(wiring)

def no_driver(wiring):
    return wiring
'''
PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "acme-bms"
version = "1.0"
[project.entry-points."packseal.drivers"]
acme = "acme_bms:open_driver"
acme-none = "acme_bms:no_driver"
acme-broken = "acme_bms_that_is_not_there:open_driver"
[tool.hatch.build.targets.wheel]
packages = ["acme_bms"]
"""
CONFIG = """
[gateway]
id = "urn:example:gateway"
[[battery]]
id = "urn:example:battery"
profile = "bmw/i3_replay"
[battery.link]
kind = "plugin"
driver = "{driver}"
options = {options}
"""
OPEN = """
import asyncio, sys
from contextlib import aclosing
from pathlib import Path
from packseal import config
from packseal.clock import SystemClock
from packseal.core.errors import PacksealError
from packseal.runtime.opening import open_battery_driver
assert "importlib.metadata" not in sys.modules
settings = config.load(Path(sys.argv[1]))
try:
    driver = open_battery_driver(settings, settings.file.battery[0], SystemClock())
except PacksealError as error:
    sys.exit(f"{type(error).__name__}: {error}")
async def first():
    async with aclosing(driver.batches()) as batches:
        return await anext(batches)
(sample,) = asyncio.run(first())
print(driver.name, driver.period_s, *sample.values.values())
"""
CONTRACT = """
from pathlib import Path
from packseal.clock import SystemClock
from packseal_drivers import profile
from packseal_drivers.registry import open_driver
from packseal_drivers.settings import Plugin
from packseal_drivers.testing.contract import DriverContract
from unittest import SkipTest

class Rig:
    def __init__(self, directory):
        self.driver = open_driver(Plugin("acme", {"volts": 400}), profile.load("bmw/i3_replay"),
                                  directory=directory, cache=None, clock=SystemClock())
    async def speak(self): pass
    async def babble(self): pass
    async def mend(self): pass
    async def close(self): pass
    async def cut(self): raise SkipTest("it has no wire")

class TestAcme(DriverContract):
    async def rig(self, directory: Path): return Rig(directory)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory into which pip has installed the package."""
    made = tmp_path_factory.mktemp("acme")
    (made / "source" / "acme_bms").mkdir(parents=True)
    (made / "source" / "pyproject.toml").write_text(PROJECT)
    (made / "source" / "acme_bms" / "__init__.py").write_text(ACME)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    subprocess.run(
        [*pip, "--disable-pip-version-check", "--target", made / "target", made / "source"], check=True, timeout=120
    )
    return made / "target"


def opened(directory: Path, installed: Path, driver: str = "acme", options: str = "{ volts = 400 }") -> str:
    path = directory / "packseal.toml"
    path.write_text(CONFIG.format(driver=driver, options=options))
    return run(installed, "-c", OPEN, str(path))


def run(installed: Path, *arguments: str) -> str:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(installed), *(p for p in sys.path if p)])}
    done = subprocess.run(
        [sys.executable, *arguments], env=environment, check=False, capture_output=True, text=True, timeout=120
    )
    return done.stdout + done.stderr


def test_a_driver_of_another_package_delivers(tmp_path: Path, installed: Path) -> None:
    assert opened(tmp_path, installed) == "bmw/i3_replay 0.0 400.0\n"


@pytest.mark.parametrize(
    ("driver", "options", "said"),
    [
        ("acme", "{ amperes = 1 }", "ConfigError: acme: options must be volts"),
        ("acme", "{ volts = 0 }", "ConfigError: driver acme of acme-bms cannot be opened: no volts"),
        ("acme-none", "{}", "ConfigError: driver acme-none of acme-bms is no driver: it has no name"),
        ("acme-broken", "{}", "ConfigError: driver acme-broken of acme-bms cannot be loaded: No module named"),
        (
            "other",
            "{}",
            "ConfigError: driver 'other' is not installed: there are acme, acme-broken, acme-none; install",
        ),
    ],
)
def test_what_is_wrong_with_it_is_one_line(
    tmp_path: Path, installed: Path, driver: str, options: str, said: str
) -> None:
    text = opened(tmp_path, installed, driver, options)
    assert text.startswith(said)
    assert text.count("\n") == 1


def test_one_name_of_two_packages_is_refused(tmp_path: Path, installed: Path) -> None:
    twin = tmp_path / "acme_twin-1.0.dist-info"
    twin.mkdir()
    (twin / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-twin\nVersion: 1.0\n")
    (twin / "entry_points.txt").write_text("[packseal.drivers]\nacme = acme_bms:open_driver\n")
    text = opened(tmp_path, Path(f"{installed}{os.pathsep}{tmp_path}"))
    assert text == "ConfigError: driver 'acme' comes with acme-bms and acme-twin: remove one of them\n"


def test_the_contract_can_be_run_by_another_package(tmp_path: Path, installed: Path) -> None:
    (tmp_path / "test_acme.py").write_text(CONTRACT)
    text = run(installed, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path))
    assert "5 passed, 1 skipped" in text, text


def test_a_running_agent_loads_neither_pytest_nor_the_contract(tmp_path: Path, installed: Path) -> None:
    code = OPEN + "print({m for m in sys.modules if m.startswith(('pytest', 'packseal_drivers.testing'))})"
    path = tmp_path / "packseal.toml"
    path.write_text(CONFIG.format(driver="acme", options="{ volts = 1 }"))
    assert run(installed, "-c", code, str(path)).endswith("set()\n")
