"""Every answer that an EN 18222 backend may give: refused, accepted for later, in conflict, busy, broken, forbidden."""

import time
from pathlib import Path

import pytest
from tests.agent.publish.dpp.passport_server import PASSPORT, PassportServer, condition
from tests.agent.publish.dpp.source import BATTERY, MINUTE_MS, MadeUpSource, now_ms
from tests.agent.publish.dpp.station import go, kept, once, opened, running, settings, until
from tests.agent.publish.dpp.web_server import Told

from packseal.core.translate.en18223 import PRODUCT_CONDITION
from packseal.core.translate.idta_parts import DIGITAL_NAMEPLATE, TECHNICAL_DATA
from packseal.publish.dpp.positions import read


@pytest.mark.parametrize("write", ["auto", "elements"])
def test_one_refused_element_holds_up_no_other_and_is_told_with_its_reason(
    server: PassportServer, source: MadeUpSource, tmp_path: Path, write: str
) -> None:
    server.refuses = {"RemainingCapacity": (422, "unit is kWh here"), "CapacityFade": (403, "not yours")}
    table = settings(server.url, f'write = "{write}"')
    publisher = opened(tmp_path, table, source)
    go(lambda: once(publisher))
    assert "RemainingCapacity" not in condition(server)
    assert set(condition(server)) == {
        "CapacityThroughput",
        "NumberOfFullCycles",
        "StateOfCharge",
        "NegativeEvents",
        "TemperatureInformation",
        "RemainingPowerCapability",
        "InformationOnAccidents",
    }
    trouble = publisher.status.troubles[BATTERY]
    assert "RemainingCapacity refused: " in trouble
    assert "unit is kWh here" in trouble
    assert "CapacityFade refused: " in trouble
    found = read(kept(tmp_path, table))
    assert found is not None
    assert sorted(p.status for p in found.batteries[BATTERY].refused.values()) == [403, 422]


def test_what_was_refused_is_tried_again_when_it_changes_or_the_configuration_does(
    server: PassportServer, source: MadeUpSource, tmp_path: Path
) -> None:
    server.refuses = {"StateOfCharge": (400, "out of range")}
    publisher = opened(tmp_path, settings(server.url), source)

    async def work() -> None:
        await once(publisher)
        asked = len(server.of("PATCH"))
        source.put(now_ms() - 9 * MINUTE_MS, state_of_charge=71.3)
        await once(publisher)
        assert len(server.of("PATCH")) == asked  # it has not changed
        again = opened(tmp_path, settings(server.url), source)
        await once(again)
        assert len(server.of("PATCH")) == asked  # nor has a start anything to do with it
        assert "out of range" in again.status.troubles[BATTERY]
        server.refuses = {}
        other = opened(tmp_path, settings(server.url, "timeout_s = 19"), source)
        await once(other)
        assert condition(server)["StateOfCharge"]["StateOfChargeValue"] == 71.3
        assert other.status.troubles == {}

    go(work)


@pytest.mark.parametrize("names_status", [True, False], ids=["status-url", "no-url"])
def test_what_is_only_accepted_is_looked_after(
    server: PassportServer, source: MadeUpSource, tmp_path: Path, *, names_status: bool
) -> None:
    server.later, server.names_status = 2, names_status
    publisher = opened(tmp_path, settings(server.url), source)

    async def work() -> None:
        async with running(publisher):
            await until(lambda: server.of("PATCH"))
            if not names_status:
                await until(lambda: len(server.of("GET")) > 1)
                assert publisher.status.published == 0
                server.settle()
            await until(lambda: publisher.status.published)

    go(work)
    assert condition(server)["StateOfCharge"]["StateOfChargeValue"] == 71.25
    assert len(server.of("PATCH")) == 1


def test_accepted_and_never_done_is_a_doubt_and_read_before_it_is_sent_again(
    server: PassportServer, source: MadeUpSource, tmp_path: Path
) -> None:
    server.later = 1000
    publisher = opened(tmp_path, settings(server.url, "accept_s = 1"), source)

    async def work() -> None:
        await once(publisher)
        assert "accepted, but not done" in publisher.status.state
        assert publisher.status.published == 0
        server.settle()
        publisher._not_before = 0
        await once(publisher)

    go(work)
    assert len(server.of("PATCH")) == 1
    assert publisher.status.connected


def test_entity_tags_are_given_back_and_a_change_by_another_is_noticed(
    server: PassportServer, source: MadeUpSource, tmp_path: Path
) -> None:
    server.tags = True
    publisher = opened(tmp_path, settings(server.url), source)

    async def work() -> None:
        await once(publisher)
        source.put(now_ms() - 8 * MINUTE_MS, state_of_charge=30.0)
        await publisher._turns[BATTERY].delivery.look()
        newer = {"StateOfChargeValue": 31.0, "LastUpdate": "2026-01-01T00:00:00Z"}
        server._store(PASSPORT, {PRODUCT_CONDITION: {"StateOfCharge": newer}})
        await once(publisher)

    go(work)
    statuses = [patch.status for patch in server.of("PATCH")]
    assert statuses == [204, 412, 204]
    assert condition(server)["StateOfCharge"]["StateOfChargeValue"] == 30.0


def test_a_conflict_that_stays_is_told_and_ends(server: PassportServer, source: MadeUpSource, tmp_path: Path) -> None:
    server.refuses = {"StateOfCharge": (409, "stale update")}
    publisher = opened(tmp_path, settings(server.url), source)
    go(lambda: once(publisher))
    assert "stale update" in publisher.status.troubles[BATTERY]
    assert len(server.of("PATCH")) < 10


@pytest.mark.parametrize("after", ["3", "Wed, 25 Nov 2099 00:00:00 GMT"], ids=["seconds", "date"])
@pytest.mark.parametrize("status", [429, 503])
def test_a_backend_that_says_when_is_asked_then(
    server: PassportServer, source: MadeUpSource, tmp_path: Path, status: int, after: str
) -> None:
    server.script = [Told(status, None, {"Retry-After": after})]
    publisher = opened(tmp_path, settings(server.url), source)

    async def work() -> None:
        await once(publisher)
        assert not publisher.status.connected
        assert f"HTTP {status}" in publisher.status.state
        left_s = publisher._not_before - time.monotonic()
        assert 2 < left_s <= 3 if after == "3" else 3590 < left_s <= 3600
        asked = len(server.asked)
        await once(publisher)
        assert len(server.asked) == asked
        publisher._not_before = 0
        await once(publisher)

    go(work)
    assert publisher.status.connected
    assert condition(server)["StateOfCharge"]["StateOfChargeValue"] == 71.25


def test_a_broken_backend_is_a_doubt(server: PassportServer, source: MadeUpSource, tmp_path: Path) -> None:
    publisher = opened(tmp_path, settings(server.url), source)

    async def work() -> None:
        for told in (Told(500, None, raw=b"<html>oops</html>"), Told(0), Told(502)):
            server.script = [told, *([told] if not told.status else [])]
            publisher._not_before = 0
            await once(publisher)
            assert not publisher.status.connected
        publisher._not_before = 0
        await once(publisher)

    go(work)
    assert publisher.status.connected
    assert len(server.of("GET")) == 4  # read anew before each try
    assert condition(server)["StateOfCharge"]["StateOfChargeValue"] == 71.25


def test_a_passport_that_is_not_there_is_named_and_no_other_is_held_up(server: PassportServer, tmp_path: Path) -> None:
    source = MadeUpSource("urn:example:battery:unknown", BATTERY)
    for battery in ("urn:example:battery:unknown", BATTERY):
        source.put(now_ms() - MINUTE_MS, battery)
    publisher = opened(tmp_path, settings(server.url), source)
    go(lambda: once(publisher))
    assert condition(server)["StateOfCharge"]["StateOfChargeValue"] == 71.25
    assert list(publisher.status.troubles) == ["urn:example:battery:unknown"]
    assert "create it there, or correct its id" in publisher.status.troubles["urn:example:battery:unknown"]


def test_everything_forbidden_is_a_matter_of_credentials_and_of_no_value(
    server: PassportServer, source: MadeUpSource, tmp_path: Path
) -> None:
    table = settings(server.url)
    server.refuses = {PRODUCT_CONDITION: (403, "read only"), TECHNICAL_DATA: (403, ""), DIGITAL_NAMEPLATE: (403, "")}
    publisher = opened(tmp_path, table, source)
    go(lambda: once(publisher))
    assert "HTTP 403" in publisher.status.state
    found = read(kept(tmp_path, table))
    assert found is None or not found.batteries[BATTERY].refused
