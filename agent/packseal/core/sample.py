"""What comes off a bus: Frame, Sample, Notice, and the clock they carry."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple, Protocol

from packseal.core.quantities import Channel

NS_PER_S = 1_000_000_000


class ClockQuality(IntEnum):
    """How far the wall clock can be trusted. Order and durations never depend on it."""

    UNSYNCHRONISED = 0  # nobody has set it since the machine started
    RTC = 1  # set from a battery-backed clock
    NTP = 2  # kept by network time
    GNSS = 3  # kept by satellite time


class Instant(NamedTuple):
    """One moment on both clocks.

    `mono_ns`: CLOCK_MONOTONIC or, in a replay, the recording's own clock; never steps back within one boot.
    `wall_ns`: nanoseconds since 1970-01-01T00:00:00Z; may step in either direction.
    """

    mono_ns: int
    wall_ns: int
    quality: ClockQuality


class Clock(Protocol):
    """Where the present comes from: the machine, or the recording that is being replayed."""

    def now(self) -> Instant:
        """Return the present on both clocks."""


class Frame(NamedTuple):
    """One message off a wire, as it was. `address` is the CAN id, with 0x8000_0000 set for a 29-bit id."""

    address: int
    data: bytes
    mono_ns: int


class Flaw(IntEnum):
    """Why a value that was on the wire is not in the sample."""

    OUT_OF_RANGE = 1  # beyond the profile's limits, or beyond what any battery can show
    NOT_AVAILABLE = 2  # the BMS itself sent its "signal not available" pattern
    NOT_A_NUMBER = 3  # a floating-point pattern that is no number
    PLACEHOLDER = 4  # a firmware known to send a constant


@dataclass(frozen=True, slots=True)
class Sample:
    """What one battery said at one instant. Sparse: an absent channel was not said. Immutable.

    `values` hold finite numbers in each quantity's own unit, current positive while charging. A channel in `flaws`
    was on the wire but unusable; it is never in `values` as well.
    """

    at: Instant
    values: Mapping[Channel, float]
    flaws: Mapping[Channel, Flaw] = field(default_factory=dict)


class EventCode(IntEnum):
    """What can happen to a battery, its wire or the gateway's power: event codes (docs/formats/record.md)."""

    BUS_OFF = 1  # the CAN controller has left the bus after too many errors
    BUS_ERROR_PASSIVE = 2  # the CAN controller has seen so many errors that it no longer marks them
    BUS_ERROR_WARNING = 3  # the CAN controller has seen many errors
    BUS_SILENT = 4  # the wire is there, but nothing came for the time named
    BUS_RECOVERED = 5  # messages come again
    LINK_LOST = 6  # the adapter or connection is gone
    FRAMES_DROPPED = 7  # messages arrived but were lost before they could be read
    ECU_SILENT = 8  # what is asked of a control unit stays without an answer
    ECU_ANSWERS = 9  # a control unit that was silent answers again
    ADDRESS_CLASH = 10  # two devices use the same ids, so their messages cannot be told apart
    DEEP_DISCHARGE = 20  # a cell fell below its declared limit
    OVERCHARGE = 21  # a cell rose above its declared limit
    VALUES_FLAWED = 30  # values on the wire were unusable, see the flaws
    PLACEHOLDER_SEEN = 31  # a firmware known to send constants was seen
    HEALTH_CLAIM_CONSTANT = 32  # the BMS's state of health has not moved over many full cycles, which is to be doubted
    SCALE_CHANGED = 33  # a value jumped by a power of ten and stayed there, as if its unit had changed
    CAPACITY_MEASURED = 40  # a session was good enough to tell the capacity
    HEALTH_CLAIM_DOUBTFUL = 41  # the BMS's state of health lies away from ours
    HEALTH_CLAIM_CONTRADICTED = 42  # it has done so in three sessions in a row
    HEALTH_CLAIM_CONSISTENT = 43  # it agrees with ours again
    HEALTH_CLAIM_ROSE = 44  # the BMS's state of health rose without a cause
    COUNTER_WENT_BACK = 45  # a counter of the BMS fell: reset, roll-over or another BMS
    COUNTER_DISAGREES = 46  # a counter of the BMS and ours drift apart
    CURRENT_SIGN_DOUBTED = 47  # charge and voltage say that the current's sign is the wrong way round
    SENSOR_STUCK = 48  # a value has not moved though it must have
    CHARGE_STATE_JUMPED = 49  # the BMS's state of charge moved more than the current explains
    BMS_REPLACED = 50  # counters and capacity say that this is another BMS
    POWER_FAILED = 60  # the gateway's own power has failed, by the word of a UPS or a line; in the gateway's log
    POWER_BACK = 61  # it is back


@dataclass(frozen=True, slots=True)
class Notice:
    """Something worth an event record. `attributes` are small facts by name (integers, text), sorted when sealed."""

    code: EventCode
    at: Instant
    attributes: Mapping[str, int | str] = field(default_factory=dict)


class LinkState(IntEnum):
    """The health of a battery's wire, worst first shown."""

    CONNECTING = 0
    HEALTHY = 1
    SILENT = 2
    ERROR_PASSIVE = 3
    BUS_OFF = 4
    LOST = 5


@dataclass(slots=True)
class LinkCounts:
    """What a driver has seen since it started; only ever grows. `state` is the link's present health."""

    state: LinkState = LinkState.CONNECTING
    frames: int = 0
    unknown: int = 0  # frames whose id no profile line names
    short: int = 0  # frames shorter than their definition
    flawed: int = 0  # values flagged, see Flaw
    dropped: int = 0  # frames the kernel dropped before we read them
    samples: int = 0
    error_frames: int = 0
    requests: int = 0  # sent, each of them a read
    answers: int = 0  # whole and to what was asked
    negative: int = 0  # requests that the other side declined
    declined: dict[int, int] = field(default_factory=dict)  # by response code: ISO 14229-1 annex A; Modbus exceptions
    unanswered: int = 0  # requests without an answer in time
    unexpected: int = 0  # messages on an answer's id that nobody asked for, as of a second device
    cut: int = 0  # transfers given up: broken, out of order, too long or without an end
    refused: int = 0  # what was to be sent and must not leave
    unsent: int = 0  # frames for which the interface had no room
    doubles: int = 0  # times that slow values went back and forth as between two devices with the same ids
    rescaled: int = 0  # values that jumped by a power of ten and stayed there
    doubted: int = 0  # messages withheld until a second one said the same, where a checksum is too weak to be believed
