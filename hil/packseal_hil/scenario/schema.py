"""A scenario's file: what the battery does, what the world does to it, and what must be true at the end.

The Structs are the tables of the TOML file; their docstrings are its reference.
"""

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from packseal.core.bodies import GapCause, LifecycleCode
from packseal.core.errors import ConfigError
from packseal.core.exchange import Refusal
from packseal.core.passport import FIELD_BY_KEY
from packseal.core.quantities import BY_KEY
from packseal.core.sample import EventCode
from packseal.core.toml_error import decode_toml
from packseal_hil.battery import BatterySpec
from packseal_hil.rig.protocols import BusFault, LineFault, Need, RadioFault, RigError
from packseal_hil.rig.shape import Shape
from packseal_hil.scenario.outage_tables import Backlog, Partitions
from packseal_hil.scenario.told import WINDOW_S

Seconds = Annotated[float, msgspec.Meta(ge=0)]
Count = Annotated[int, msgspec.Meta(ge=0)]
Link = Literal["connecting", "healthy", "silent", "error_passive", "bus_off", "lost"]
Bounds = tuple[float, float]
"""The least and the most."""

MAX_S = 7200


class When(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A condition for a step; all that is given must hold. Counts are at-leasts, over all logs of the gateway."""

    samples: Count | None = None
    """Samples that the agent has taken since the scenario began."""
    sealed: Count | None = None
    received: Count | None = None
    """Records that the sink holds."""
    receipted: Count | None = None
    refused: Count | None = None
    """Records that the sink has refused, whosever."""
    pending: Count | None = None
    """Records that the agent keeps in memory because the journal cannot be written."""
    link: Link | None = None
    """The state of the battery's wire, as the agent sees it."""
    settled: bool = False
    """Whether every sealed record is receipted."""
    said: str | None = None
    """Words that the agent has written into its log since it was last started."""
    within_s: Annotated[float, msgspec.Meta(gt=0, le=MAX_S)] = 120
    """Else the scenario has failed."""


class ClockStep(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is done to the gateway's clock: exactly one of the two."""

    by_s: float | None = None
    """Moved against this machine's clock, which counts as right; negative is back."""
    to_s: Seconds | None = None
    """Set, in seconds since 1970."""

    def __post_init__(self) -> None:
        if (self.by_s is None) == (self.to_s is None):
            raise ValueError("exactly one of by_s and to_s is needed")


Service = Literal["stop", "start", "restart"]

ACTIONS = ("bus", "babble", "radio", "line", "network", "clock", "disk", "power", "broker", "sink", "agent", "second")


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[[before]] and [[step]]: something is done to the world: one action, or none where the step only waits.

    Steps are done in their order. Without a time, a step follows the one before it at once.
    """

    at_s: Seconds | None = None
    """Seconds since the scenario's zero: the agent's first sample, or its start where [agent] has `zero = "start"`."""
    after_s: Seconds | None = None
    """Seconds since the step before."""
    when: When | None = None
    bus: BusFault | None = None
    babble: Annotated[int, msgspec.Meta(ge=0, le=20_000)] | None = None
    """Frames a second that a broken node sends besides; 0 ends it."""
    radio: RadioFault | None = None
    line: LineFault | None = None
    network: Literal["up", "down"] | Shape | None = None
    clock: Literal["synchronise"] | ClockStep | None = None
    disk: Literal["fill", "free", "freeze", "thaw"] | None = None
    power: Literal["cut", "on"] | None = None
    broker: Service | None = None
    sink: Service | None = None
    agent: Literal["start", "stop", "kill"] | None = None
    second: Literal["copy", "start", "kill"] | None = None
    """A second agent on the same machine. `copy` takes this one's key, configuration and journal, as a copy of the
    card would; `start` returns when it has sealed something of its own."""

    def __post_init__(self) -> None:
        times = sum(time is not None for time in (self.at_s, self.after_s, self.when))
        if times > 1:
            raise ValueError("a step has at most one of at_s, after_s and when")
        given = [name for name in ACTIONS if getattr(self, name) is not None]
        if len(given) > 1 or not (given or times):
            raise ValueError(f"a step does exactly one of {', '.join(ACTIONS)}, not {' and '.join(given) or 'none'}")

    @property
    def action(self) -> str:
        """The name of what is done; empty where a step only waits."""
        return next((name for name in ACTIONS if getattr(self, name) is not None), "")


class Agent(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[agent]: how the agent is configured."""

    window_s: Annotated[float, msgspec.Meta(ge=1, le=600)] = 1
    drain_s: Annotated[float, msgspec.Meta(ge=0, le=600)] = 60
    period_s: Seconds | None = None
    gap_s: Annotated[float, msgspec.Meta(gt=0)] | None = None
    fresh: bool = False
    """Whether everything is done as on a new machine: `packseal init`, and decoders made from the profile's DBC."""
    uplink: Literal["mqtt", "https"] = "mqtt"
    """How records go to the sink: through the broker, or to the sink itself, with TLS."""
    zero: Literal["sample", "start"] = "sample"
    """What the times of the steps count from."""
    road: Literal["can", "ble", "modbus"] = "can"
    """Over which it reads the battery."""
    profile: str | None = None
    """What it takes the battery for, and what the battery speaks as; None: that of [bus]."""


class Bus(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[bus]: how the battery speaks."""

    profile: str = "packseal/reference96"
    twin: bool = False
    """Whether a second battery with the same ids is on the bus, at 30 points more or less state of charge."""


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[line]: the Modbus line of `road = "modbus"`."""

    transport: Literal["tcp", "rtu", "rtu_over_tcp"] = "tcp"
    """`rtu` is a serial line where the agent runs on this machine, else its frames over TCP."""
    units: Annotated[int, msgspec.Meta(ge=1, le=8)] = 1
    """How many batteries are on it and read by the agent: the scenario's as unit 1, the others at 30 points more or
    less state of charge. What becomes of those are the figures samples_of_2, events_of_2 and so on."""


class Compressed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[compressed]: the battery's time runs ahead: the agent reads a recording of so many hours at once."""

    hours: Annotated[float, msgspec.Meta(gt=0, le=24 * 366)]
    period_s: Annotated[float, msgspec.Meta(gt=0)] = 10
    """Between two rounds of frames."""


class Tolerance(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How far a field may be from the truth: the larger of the two."""

    relative: Seconds = 0
    absolute: Seconds = 0
    """In the field's unit."""


class GapBounds(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How many gaps of a cause there are, and how long they are together."""

    times: Bounds = (1, 1)
    seconds: Bounds | None = None


class Expect(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[expect]: what must be true at the end. Events and gaps that are not named here must not be in any log."""

    delivered: Literal["all", "battery", "no"] = "all"
    """Whose every sealed record is at the sink, verified and receipted: all logs, or the battery's.

    The sink then shows the newest snapshot, too.
    """
    orderly: bool = True
    """The agent's last word is that it was stopped in good order."""
    samples: Bounds | None = None
    """In all telemetry of the battery."""
    event: dict[str, Bounds] = {}
    """How often, by the event's name."""
    gap: dict[str, GapBounds] = {}
    lifecycle: dict[str, Bounds] = {}
    """How often, by the entry's name; those that are not named may be there."""
    refused: dict[str, Bounds] = {}
    """How often the sink has refused records of the battery's logs and shows it, by the refusal's name."""
    logs: int = 1
    """How many logs of this battery the sink shows."""
    field: dict[str, Tolerance] = {}
    """Passport fields of the sink's newest snapshot against the simulated battery's truth."""
    value: dict[str, Tolerance] = {}
    """Quantities of which there are sealed values, and each is one that the BMS has said at about that time."""
    said_within_s: float = WINDOW_S
    """How far from its sample's time that may be: a round of questions."""
    figure: dict[str, Bounds] = {}
    """Measured figures of the story, such as first_receipt_s."""
    said: tuple[str, ...] = ()
    """Words that the agent's log must hold."""

    def __post_init__(self) -> None:
        _check("event", self.event, [code.name.lower() for code in EventCode])
        _check("gap", self.gap, [cause.name.lower() for cause in GapCause])
        _check("lifecycle", self.lifecycle, [code.name.lower() for code in LifecycleCode])
        _check("refused", self.refused, [code.name.lower() for code in Refusal])
        _check("field", self.field, list(FIELD_BY_KEY))
        _check("value", self.value, list(BY_KEY))


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole file."""

    title: str
    why: str
    run: Literal["commit", "long"]
    """Whether every change runs it, or only the long run."""
    needs: tuple[Need, ...] = ()
    rest_s: Annotated[float, msgspec.Meta(ge=0, le=MAX_S)] = 3
    """From the last step, or from zero where there is none, to the agent's stop; without meaning in compressed time."""
    agent: Agent = msgspec.field(default_factory=Agent)
    battery: BatterySpec = msgspec.field(default_factory=BatterySpec)
    bus: Bus = msgspec.field(default_factory=Bus)
    line: Line = msgspec.field(default_factory=Line)
    compressed: Compressed | None = None
    backlog: Backlog | None = None
    partitions: Partitions | None = None
    before: tuple[Step, ...] = ()
    """Done before the agent starts."""
    step: tuple[Step, ...] = ()
    expect: Expect = msgspec.field(default_factory=Expect)

    @property
    def profile(self) -> str:
        """What the battery speaks as."""
        return self.agent.profile or self.bus.profile

    def __post_init__(self) -> None:
        if any(step.at_s is not None or step.after_s is not None for step in self.before):
            raise ValueError("a [[before]] step has no time: it is done before the agent starts")
        if self.compressed is not None and self.bus.twin:
            raise ValueError("a twin speaks on a live bus only: leave [compressed] out")
        faults = {step.line for step in (*self.before, *self.step)} - {None}
        if self.agent.road != "modbus" and (faults or self.line != Line()):
            raise ValueError('[line] and steps with `line` belong to [agent] road = "modbus"')
        if LineFault.DIES in faults and self.line.transport != "tcp":
            raise ValueError('line = "dies" is of a peer that is connected to: it needs [line] transport = "tcp"')
        if self.partitions is not None and Need.NETWORK not in self.needs:
            raise ValueError('[partitions] needs "network" among the needs')
        if self.agent.road == "can":
            return
        road = f'[agent] road = "{self.agent.road}"'
        if self.agent.profile is None:
            raise ValueError(f"{road} needs [agent] profile")
        if self.agent.road == "ble" and Need.BLUETOOTH not in self.needs:
            raise ValueError(f'{road} needs "bluetooth" among the needs')
        if self.compressed is not None or self.bus.twin:
            raise ValueError(f"{road} is read live, and has no bus: leave [compressed] and twin out")


def load(path: Path) -> Scenario:
    """Read a scenario's file.

    Raises:
        RigError: it cannot be read, or is wrong: names file, line, key and what is allowed.
    """
    try:
        return decode_toml(path.read_bytes(), Scenario, str(path))
    except OSError as error:
        raise RigError(f"cannot read the scenario {path}: {error.strerror}") from error
    except ConfigError as error:
        raise RigError(str(error)) from error


def _check(what: str, table: dict[str, Bounds] | dict[str, GapBounds] | dict[str, Tolerance], names: list[str]) -> None:
    for name in table:
        if name not in names:
            raise ValueError(f"{what} has no `{name}`; allowed are {', '.join(names)}")
