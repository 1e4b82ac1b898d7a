"""The guard: what reads passes, every other road is refused and counted, and nothing of it reaches a bus."""

import secrets
import socket
from collections.abc import Iterator
from pathlib import Path

import can
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.drivers import ecus
from tests.drivers.attempts import ATTEMPTS, LANES, OBD, PAGE, SOURCE, TABLE, UDS, WIDE, Attempt, reason_of, table

from packseal.core.errors import ConfigError, LinkError
from packseal.core.sample import LinkCounts
from packseal_drivers.guard import MAX_REASONS, Guard, Permitted, RefusedRequest
from packseal_drivers.links.pythoncan import PythonCanLink
from packseal_drivers.links.socketcan import SocketCanLink
from packseal_drivers.profile import load, names

READ = b"\x22\x01\x01"


@pytest.fixture
def guard() -> Guard:
    return Guard(LANES, LinkCounts())


@pytest.fixture
def bus(guard: Guard) -> Iterator[tuple[PythonCanLink, can.BusABC]]:
    channel = secrets.token_hex(8)
    link = PythonCanLink("virtual", channel, {}, guard)
    with can.Bus(interface="virtual", channel=channel) as far:
        link.open()
        yield link, far
        link.close()


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=[a.what for a in ATTEMPTS])
def test_an_attempt_is_refused_and_counted_and_nothing_is_sent(
    attempt: Attempt, guard: Guard, bus: tuple[PythonCanLink, can.BusABC]
) -> None:
    link, far = bus
    reason = reason_of(attempt, guard, link)
    assert guard._counts.refused == 1
    assert guard.refused == {reason: 1}
    assert far.recv(0) is None
    assert link.send(guard.permit_request("uds", UDS, READ))  # and reading goes on
    message = far.recv(1)
    assert message is not None
    assert (message.arbitration_id, bytes(message.data)) == (UDS, b"\x03" + READ + bytes(4))


def test_the_page_tells_of_every_attempt(guard: Guard, bus: tuple[PythonCanLink, can.BusABC]) -> None:
    found = TABLE.search(PAGE.read_text())
    assert found is not None
    made = f"{found.group(1)}{table(bus[0], guard)}{found.group(2)}"
    assert found.group(0) == made, "python -m tests.drivers.attempts writes the table of docs/read-only.md anew"


def test_what_reads_is_permitted(guard: Guard) -> None:
    permitted = [
        guard.permit_request("uds", UDS, READ),
        guard.permit_request("uds", WIDE, bytes.fromhex("22 01 01 01 02")),
        guard.permit_request("uds", UDS, bytes.fromhex("19 02 FF")),
        guard.permit_request("uds", UDS, bytes.fromhex("3E 80")),
        guard.permit_request("obd", OBD, bytes.fromhex("01 5B")),
        guard.permit_request("obd", OBD, bytes.fromhex("09 02")),
        guard.permit_flow_control("uds", UDS, 8, 10),
        guard.permit_pgn_request(SOURCE, 0xFF, 0xFECA),
        guard.permit_clear_to_send(SOURCE, 0x17, 2, 1, 0xFECA),
        guard.permit_end_of_message(SOURCE, 0x17, 14, 2, 0xFECA),
        guard.permit_upload(16, 0x6081, 0),
        guard.permit_segment(16, toggle=False),
        guard.permit_segment(16, toggle=True),
        guard.permit_upload_abort(16, 0x6081, 0, 0x0504_0000),
    ]
    assert [(f"{p.address:X}", p.data.hex()) for p in permitted] == [
        ("7E4", "0322010100000000"), ("98DADBF1", "0522010101020000"), ("7E4", "031902ff00000000"),
        ("7E4", "023e800000000000"), ("7DF", "02015b0000000000"), ("7DF", "0209020000000000"),
        ("7E4", "30080a0000000000"), ("98EAFFF9", "cafe00"), ("98EC17F9", "110201ffffcafe00"),
        ("98EC17F9", "130e0002ffcafe00"), ("610", "4081600000000000"), ("610", "6000000000000000"),
        ("610", "7000000000000000"), ("610", "8081600000000405"),
    ]  # fmt: skip
    assert [guard.check(p) for p in permitted] == [(p.address, p.data) for p in permitted]
    assert guard._counts.refused == 0


READS = {0x22, 0x19, 0x3E}


@given(st.sampled_from(LANES), st.binary(max_size=12))
def test_no_payload_with_another_service_is_ever_permitted(lane: tuple[str, int], payload: bytes) -> None:
    guard = Guard(LANES, LinkCounts())
    for protocol in ("uds", "obd", "j1939", "sdo"):
        for address in (lane[1], lane[1] | 0x8000_0000, lane[1] | 0x4000_0000):
            try:
                data = guard.permit_frame(protocol, address, payload).data
            except RefusedRequest:
                continue
            if protocol == "sdo":
                assert data[0] in (0x40, 0x60, 0x70, 0x80)
            elif protocol == "j1939":
                raise AssertionError("none of these addresses is a J1939 one")
            else:
                assert data[0] == 0x30 or data[1] in (READS if protocol == "uds" else {0x01, 0x09})
                assert data[0] == 0x30 or not any(data[1 + data[0] :])


@given(st.integers(0, 0xFFFF_FFFF), st.binary(max_size=8))
def test_no_frame_leaves_for_where_no_request_goes(address: int, data: bytes) -> None:
    counts = LinkCounts()
    with pytest.raises(RefusedRequest):
        Guard([], counts).permit_frame("uds", address, data)
    assert counts.refused == 1


def test_a_flood_of_reasons_is_bounded(guard: Guard) -> None:
    for service in set(range(256)) - READS:
        with pytest.raises(RefusedRequest, match="not sent, because packseal only reads"):
            guard.permit_request("uds", UDS, bytes((service,)))
    assert guard._counts.refused == 253 == guard.refused.total()
    assert len(guard.refused) <= MAX_REASONS + 1


@pytest.mark.parametrize("service", ["10 03", "11 01", "14 FF FF FF", "27 01", "28 03 01", "2E F1 90 00", "2F 01 01 03",
    "31 01 02 03", "34 00 11 00 01", "36 01", "37", "85 02", "04", "08 01"])  # fmt: skip
def test_a_profile_that_asks_for_more_is_refused_by_line(service: str, tmp_path: Path) -> None:
    for tables in (ecus.CURRENT, ecus.CHARGE):
        asked = tables.replace("22 01 01", service).replace("01 5B", service)
        with pytest.raises(ConfigError, match=r"asked\.toml, line 7: request\[0\]: packseal only reads") as caught:
            ecus.write(tmp_path, asked)
        assert "service 0x" in str(caught.value)


@pytest.mark.parametrize(
    ("to", "said"),
    [("0x351", "control frames"), ("0x0C000003", "J1939"), ("0x7DF", "every ECU"), ("0x18DB33F1", "every ECU")],
)
def test_a_profile_that_asks_elsewhere_is_refused_by_line(to: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"line 7: .*{said}"):
        ecus.write(tmp_path, ecus.CURRENT.replace("0x7E4", to))


@pytest.mark.parametrize("period", ["0.05", "-1", "inf", "nan"])
def test_a_profile_that_asks_too_often_or_never_is_refused_by_line(period: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"line 7: .*period_s must be at least 0\.1 and finite"):
        ecus.write(tmp_path, ecus.CURRENT.replace("period_s = 0.1", f"period_s = {period}"))


def test_links_without_a_guard_send_nothing() -> None:
    permitted = Guard(LANES, LinkCounts()).permit_request("uds", UDS, READ)
    for link in (PythonCanLink("virtual", "x", {}), SocketCanLink("can0", [])):
        with pytest.raises(LinkError, match="only listened to"):
            link.send(permitted)


def test_the_kernel_link_sends_what_is_permitted_and_nothing_else(guard: Guard) -> None:
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with near, far:
        near.settimeout(0)
        far.settimeout(0)
        link = SocketCanLink("can0", [], guard)
        link._socket = near  # a socketpair stands in for the kernel's
        assert link.send(guard.permit_request("uds", WIDE, READ))
        assert far.recv(100).hex() == "f1dbda98" + "08000000" + "0322010100000000"
        for attempt in ATTEMPTS:
            reason_of(attempt, guard, link)
        with pytest.raises(BlockingIOError):
            far.recv(100)
        while link.send(guard.permit_request("uds", UDS, READ)):
            pass  # until there is no room: False, not an error
        far.close()
        with pytest.raises(LinkError, match="CAN interface can0"):
            link.send(guard.permit_request("uds", UDS, READ))


def test_every_request_of_the_profiles_that_come_along_is_a_read() -> None:
    for name in names():
        for request in load(name).profile.request:
            assert request.payload[0] in READS | {0x01, 0x09, 0x40}, name


def test_a_permission_cannot_be_changed_by_accident(guard: Guard) -> None:
    permitted = guard.permit_request("uds", UDS, READ)
    with pytest.raises(AttributeError):
        permitted.data = b"\x02\x11\x01"  # type: ignore[misc]
    assert type(permitted) is Permitted
