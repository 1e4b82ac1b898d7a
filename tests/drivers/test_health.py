"""The health of a bus: what is told, once, and what it says of itself."""

import pytest
from tests.drivers.clocks import instant

from packseal.core.sample import NS_PER_S, EventCode, Frame, LinkCounts, LinkState, Notice
from packseal_drivers.health import Health

ERR = 0x2000_0000
BUS_OFF = Frame(ERR | 0x40, bytes(8), 0)
RESTARTED = Frame(ERR | 0x100, bytes(8), 0)
PASSIVE, PASSIVE_TX = (Frame(ERR | 0x204, bytes([0, d, 0, 0, 0, 0, 128, 0]), 0) for d in (0x10, 0x20))
WARNING, ACTIVE, OVERFLOW = (Frame(ERR | 0x04, bytes([0, d, 0, 0, 0, 0, 0, 0]), 0) for d in (0x08, 0x40, 0x01))
NO_ACK = Frame(ERR | 0x20, bytes(8), 0)


class Bus:
    """A Health and the second at which it is."""

    def __init__(self) -> None:
        self.counts = LinkCounts()
        self.health = Health(self.counts, 5)
        self.second = 0.0
        self.health.opened(instant(0))

    def after(self, seconds: float, *errors: Frame, known: bool = False) -> list[Notice]:
        self.second += seconds
        now = instant(round(self.second * NS_PER_S))
        return [*self.health.errors(errors, now), *self.health.heard(now, known=known)]

    def state(self) -> LinkState:
        return self.counts.state

    def lost(self, seconds: float = 0) -> list[Notice]:
        self.second += seconds
        return self.health.lost(instant(round(self.second * NS_PER_S)), "interface can0 is down")


def codes(notices: list[Notice]) -> list[EventCode]:
    return [n.code for n in notices]


@pytest.fixture
def bus() -> Bus:
    return Bus()


def test_a_bus_is_healthy_with_its_first_known_frame_and_that_is_no_event(bus: Bus) -> None:
    assert bus.state() is LinkState.CONNECTING
    assert bus.after(0.1, known=True) == []
    assert bus.state() is LinkState.HEALTHY


def test_silence_is_told_once_and_ends_with_a_known_frame(bus: Bus) -> None:
    bus.after(1, known=True)
    assert bus.after(4.9) == []
    (notice,) = bus.after(0.1)
    assert (notice.code, notice.attributes, notice.at) == (
        EventCode.BUS_SILENT,
        {"silent_ms": 5000},
        instant(6 * NS_PER_S),
    )
    assert bus.state() is LinkState.SILENT
    assert bus.after(1000) == []
    (notice,) = bus.after(1, known=True)
    assert (notice.code, notice.attributes) == (EventCode.BUS_RECOVERED, {"after": "bus_silent"})
    assert bus.state() is LinkState.HEALTHY


def test_a_bus_that_never_speaks_is_silent_too(bus: Bus) -> None:
    assert codes(bus.after(5)) == [EventCode.BUS_SILENT]


def test_bus_off_lasts_until_frames_come_again(bus: Bus) -> None:
    bus.after(1, known=True)
    assert codes(bus.after(1, BUS_OFF)) == [EventCode.BUS_OFF]
    assert bus.state() is LinkState.BUS_OFF
    assert bus.after(100) == []
    assert bus.state() is LinkState.BUS_OFF
    assert bus.after(1, RESTARTED) == []
    assert bus.state() is LinkState.CONNECTING
    assert codes(bus.after(1, known=True)) == [EventCode.BUS_RECOVERED]
    assert bus.state() is LinkState.HEALTHY
    assert bus.counts.error_frames == 2


@pytest.mark.parametrize("frame", [PASSIVE, PASSIVE_TX])
def test_error_passive_lasts_though_frames_come_until_the_controller_is_active(bus: Bus, frame: Frame) -> None:
    bus.after(1, known=True)
    assert codes(bus.after(1, frame, known=True)) == [EventCode.BUS_ERROR_PASSIVE]
    assert bus.state() is LinkState.ERROR_PASSIVE
    assert bus.after(1, frame, known=True) == []
    assert bus.state() is LinkState.ERROR_PASSIVE
    assert codes(bus.after(1, ACTIVE, known=True)) == [EventCode.BUS_RECOVERED]
    assert bus.state() is LinkState.HEALTHY


def test_a_controller_that_never_says_it_is_active_is_believed_after_ten_calm_seconds(bus: Bus) -> None:
    bus.after(1, PASSIVE, known=True)
    assert bus.after(9.9, known=True) == []
    assert codes(bus.after(0.1, known=True)) == [EventCode.BUS_RECOVERED]


def test_a_warning_is_told_and_the_bus_still_healthy(bus: Bus) -> None:
    bus.after(1, known=True)
    assert codes(bus.after(1, WARNING, WARNING, known=True)) == [EventCode.BUS_ERROR_WARNING]
    assert bus.state() is LinkState.HEALTHY


def test_it_gets_worse_step_by_step(bus: Bus) -> None:
    told = bus.after(1, WARNING, PASSIVE, BUS_OFF)
    assert codes(told) == [EventCode.BUS_ERROR_WARNING, EventCode.BUS_ERROR_PASSIVE, EventCode.BUS_OFF]


def test_single_errors_on_the_wire_are_only_counted(bus: Bus) -> None:
    bus.after(1, known=True)
    assert bus.after(1, *[NO_ACK] * 50) == []
    assert bus.counts.error_frames == 50
    assert bus.state() is LinkState.HEALTHY


def test_a_lost_adapter_is_told_once_however_often_it_is_tried(bus: Bus) -> None:
    bus.after(1, known=True)
    assert codes(bus.lost()) == [EventCode.LINK_LOST]
    assert bus.state() is LinkState.LOST
    for _ in range(5):
        bus.health.opened(instant(round(bus.second * NS_PER_S)))
        assert bus.lost(3) == []
    bus.health.opened(instant(round(bus.second * NS_PER_S)))
    assert bus.state() is LinkState.CONNECTING
    assert codes(bus.after(1, known=True)) == [EventCode.BUS_RECOVERED]


def test_an_adapter_that_is_back_can_still_be_silent(bus: Bus) -> None:
    bus.lost()
    bus.health.opened(instant(0))
    assert codes(bus.after(5)) == [EventCode.BUS_SILENT]
    assert bus.state() is LinkState.SILENT


def test_a_bus_that_flaps_is_no_flood_and_its_end_is_told(bus: Bus) -> None:
    told: list[EventCode] = []
    for _ in range(600):
        told += codes(bus.after(0.05, BUS_OFF))
        told += codes(bus.after(0.05, RESTARTED, known=True))
    assert 2 <= len(told) <= 2 * 7
    assert told == [EventCode.BUS_OFF, EventCode.BUS_RECOVERED] * (len(told) // 2) + [EventCode.BUS_OFF] * (
        len(told) % 2
    )
    for _ in range(11):
        told += codes(bus.after(1, known=True))
    assert told[-1] is EventCode.BUS_RECOVERED


def test_drops_are_counted_and_told_once_a_minute_with_how_many(bus: Bus) -> None:
    def drops(second: float, total: int) -> list[dict[str, int | str]]:
        return [dict(n.attributes) for n in bus.health.drops(total, instant(round(second * NS_PER_S)))]

    assert drops(0, 0) == []
    assert drops(1, 3) == [{"frames": 3}]
    assert drops(2, 50) == []
    assert bus.counts.dropped == 50
    assert drops(61, 60) == [{"frames": 57}]
    assert drops(200, 60) == []


def test_a_controller_that_overflows_has_lost_a_frame(bus: Bus) -> None:
    bus.after(1, OVERFLOW, OVERFLOW)
    (notice,) = bus.health.drops(5, instant(NS_PER_S))
    assert notice.attributes == {"frames": 7}
    assert bus.counts.dropped == 7


@pytest.mark.parametrize("data", [b"", b"\x00", b"\xff" * 8])
def test_no_error_frame_raises(bus: Bus, data: bytes) -> None:
    for kind in range(0x400):
        bus.after(0.01, Frame(ERR | kind, data, 0))
    assert bus.counts.error_frames == 0x400
