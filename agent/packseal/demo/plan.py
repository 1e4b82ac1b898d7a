"""Plan: everything that can be wrong about a demo, found before anything is started."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from packseal.core.declared import Declared
from packseal.core.errors import InputError
from packseal.core.meter import PERIODS_PER_GAP
from packseal.core.meter.interval import GAP_LIMIT_S
from packseal.demo import bus, declared, places, table
from packseal.demo.frames import Framing
from packseal.demo.options import DemoOptions
from packseal.demo.places import HOST, Claim, Places, Scalar
from packseal.demo.table import Survey
from packseal_drivers.settings import PythonCan, SocketCan, Stream

BROKER_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin"  # Debian puts mosquitto in /usr/sbin


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be started. `broker` is the MQTT broker's program, None over HTTP; `survey` is None without a table."""

    options: DemoOptions
    places: Places
    declared: Declared
    survey: Survey | None
    link: SocketCan | PythonCan | Stream
    bus_title: str
    broker: str | None
    broker_port: int
    page: Claim

    @property
    def url(self) -> str:
        """The page."""
        return f"http://{HOST}:{self.page.port}/"

    @property
    def gap_s(self) -> float:
        """What makes a gap: 10 s, or three intervals between rows where these lie further apart."""
        return max(GAP_LIMIT_S, PERIODS_PER_GAP * (self.survey.period_s if self.survey else 0))

    @property
    def uplink(self) -> Mapping[str, Scalar]:
        """The agent's [uplink] table, the sink's key aside."""
        if self.broker is None:
            return {"kind": "https", "url": self.url.rstrip("/")}
        return {"kind": "mqtt", "host": HOST, "port": self.broker_port}

    def write(self) -> None:
        """Write the configurations; raises StorageError."""
        places.write_sink(self.places, self.page.port, self.broker_port if self.broker else None)
        battery: dict[str, Scalar] = {"id": places.BATTERY, "profile": self.options.profile_name}
        if self.gap_s != GAP_LIMIT_S:
            battery["gap_s"] = self.gap_s
        link = msgspec.to_builtins(self.link)
        places.write_agent(
            self.places,
            window_s=self.options.window,
            uplink=self.uplink,
            battery=battery,
            link={k: v for k, v in link.items() if v is not None and v != {}},
            declared=self.declared,
        )


def make(options: DemoOptions) -> Plan:
    """Check what the user asked for and lay everything out.

    Raises:
        InputError, ConfigError, StorageError: one sentence saying what to change.
    """
    Framing(options.profile_name)
    replay = options.replay
    survey = None if replay is None else table.survey(replay)
    usual = declared.SIMULATED if replay is None else declared.REPLAYED
    told = usual if options.declared is None else declared.read(options.declared)
    broker = _broker(options.uplink)
    page = places.claim_port(options.port)
    try:
        where = places.prepare(options.directory, fresh=replay is not None)
    except BaseException:
        page.holder.close()
        raise
    wire = bus.choose(where.bus) if replay is None else bus.Bus(Stream(where.bus.name), f"frames made of {replay.name}")
    return Plan(options, where, told, survey, wire.link, wire.title, broker, places.free_port(), page)


def _broker(uplink: str | None) -> str | None:
    program = shutil.which("mosquitto", path=BROKER_PATH) if uplink != "http" else None
    if program is None and uplink == "mqtt":
        raise InputError("mosquitto is not installed: install it (apt install mosquitto), or use --uplink http")
    return program
