"""EN 18222 against a small server of our own: what is sent when, and what is never sent."""

from pathlib import Path

from tests.agent.publish.dpp.passport_server import MERGE_PATCH, PassportServer, condition, passport
from tests.agent.publish.dpp.source import BATTERY, MINUTE_MS, MadeUpSource, now_ms
from tests.agent.publish.dpp.station import go, kept, once, opened, running, settings, until

from packseal.core.translate.en18223 import PRODUCT_CONDITION
from packseal.core.translate.idta_parts import DIGITAL_NAMEPLATE, TECHNICAL_DATA


def test_a_passport_gets_the_dynamic_values_and_nothing_of_its_own_is_touched(
    server: PassportServer, source: MadeUpSource, tmp_path: Path
) -> None:
    publisher = opened(tmp_path, settings(server.url), source)
    go(lambda: once(publisher))
    got = condition(server)
    assert got["StateOfCharge"]["StateOfChargeValue"] == 71.25
    assert got["NumberOfFullCycles"]["NumberOfFullCyclesValue"] == 61
    assert got["NegativeEvents"][0]["NegativeEventValue"] == "deep-discharge events: 2"
    assert got["InformationOnAccidents"] == []
    assert server.document[TECHNICAL_DATA] == {
        "TechnicalPropertyAreas": {"CapacityEnergyVoltage": {"CapacityFade": 2.6}}
    }
    assert server.document[DIGITAL_NAMEPLATE] == {"LifeCycleStage": "original"}  # the month is entered once: not ours
    assert {name: server.document[name] for name in passport()} == passport()
    [patch] = server.of("PATCH")
    assert patch.headers["content-type"] == MERGE_PATCH
    assert publisher.status.connected
    assert publisher.status.troubles == {}


def test_nothing_is_sent_again_that_has_not_changed_enough(
    server: PassportServer, source: MadeUpSource, tmp_path: Path
) -> None:
    publisher = opened(tmp_path, settings(server.url), source)

    async def work() -> None:
        await once(publisher)
        source.put(now_ms() - 9 * MINUTE_MS, state_of_charge=73.0, full_equivalent_cycles=62.0)
        await once(publisher)
        assert len(server.of("PATCH")) == 1
        source.put(now_ms() - 8 * MINUTE_MS, state_of_charge=76.3, full_equivalent_cycles=62.4)
        await once(publisher)

    go(work)
    _, second = server.of("PATCH")
    assert list(second.json) == [PRODUCT_CONDITION]
    assert list(second.json[PRODUCT_CONDITION]) == ["StateOfCharge"]
    assert second.json[PRODUCT_CONDITION]["StateOfCharge"]["StateOfChargeValue"] == 76.3


def test_a_change_of_status_takes_everything_newer_along_at_once_whatever_the_pace(
    server: PassportServer, source: MadeUpSource, tmp_path: Path
) -> None:
    publisher = opened(tmp_path, settings(server.url, "pace_s = 86400"), source)

    async def work() -> None:
        async with running(publisher):
            await until(lambda: server.of("PATCH"))
            source.put(now_ms() - 5 * MINUTE_MS, state_of_charge=20.0)
            for _ in range(3):
                publisher.notify()
                await until(lambda: not publisher._news.is_set())
            assert len(server.of("PATCH")) == 1
            source.put(now_ms() - 4 * MINUTE_MS, state_of_charge=20.5, battery_status=3.0)
            await until(lambda: len(server.of("PATCH")) > 1, publisher)

    go(work)
    assert server.document[DIGITAL_NAMEPLATE]["LifeCycleStage"] == "re-used"
    assert condition(server)["StateOfCharge"]["StateOfChargeValue"] == 20.5
    assert condition(server)["TemperatureInformation"]["LastUpdate"] > "2026"
    assert set(server.of("PATCH")[1].json[PRODUCT_CONDITION]) >= {"StateOfCharge", "TemperatureInformation"}


def test_everything_newer_is_sent_when_a_day_has_passed(
    server: PassportServer, source: MadeUpSource, tmp_path: Path
) -> None:
    publisher = opened(tmp_path, settings(server.url, "longest_h = 0.01"), source)
    positions = next(iter(publisher._turns.values())).delivery._positions

    async def work() -> None:
        await once(publisher)
        source.put(now_ms() - MINUTE_MS)
        await once(publisher)
        assert len(server.of("PATCH")) == 1
        taken = positions.kept.batteries[BATTERY].taken
        for key, position in list(taken.items()):  # as if it had been taken a minute earlier
            taken[key] = type(position)(
                values=position.values, last_update_ms=position.last_update_ms, at_ms=position.at_ms - MINUTE_MS
            )
        await once(publisher)

    go(work)
    first, second = server.of("PATCH")
    assert set(second.json[PRODUCT_CONDITION]) == set(first.json[PRODUCT_CONDITION]) - {"InformationOnAccidents"}


def test_what_the_backend_holds_newer_is_never_overwritten(
    server: PassportServer, source: MadeUpSource, tmp_path: Path
) -> None:
    theirs = {"StateOfChargeValue": 12.0, "LastUpdate": "2199-01-01T00:00:00Z"}
    server.document[PRODUCT_CONDITION] = {"StateOfCharge": theirs}
    publisher = opened(tmp_path, settings(server.url), source)

    async def work() -> None:
        for minute in (9, 8, 7):
            source.put(now_ms() - minute * MINUTE_MS, state_of_charge=10.0 * minute)
            await once(publisher)

    go(work)
    assert condition(server)["StateOfCharge"] == theirs
    assert all("StateOfCharge" not in patch.json[PRODUCT_CONDITION] for patch in server.of("PATCH"))
    assert condition(server)["TemperatureInformation"]["MeasuredTemp"] == 23.5
    assert "ahead of its own clock" in publisher.status.troubles[BATTERY]


def test_a_list_keeps_what_others_put_into_it(server: PassportServer, source: MadeUpSource, tmp_path: Path) -> None:
    theirs = {"NegativeEventValue": "dropped in the workshop", "LastUpdate": "2026-01-01T00:00:00Z"}
    old = {"NegativeEventValue": "deep-discharge events: 1", "LastUpdate": "2026-01-01T00:00:00Z"}
    documents = ["https://example.org/report.pdf"]
    server.document[PRODUCT_CONDITION] = {"NegativeEvents": [old, theirs], "InformationOnAccidents": documents}
    go(lambda: once(opened(tmp_path, settings(server.url), source)))
    told = [entry["NegativeEventValue"] for entry in condition(server)["NegativeEvents"]]
    assert told == ["deep-discharge events: 2", "dropped in the workshop", "accidents on record: 0"]
    assert condition(server)["InformationOnAccidents"] == documents


def test_the_positions_outlive_a_restart_and_a_lost_file_costs_a_reading_only(
    server: PassportServer, source: MadeUpSource, tmp_path: Path
) -> None:
    table = settings(server.url)
    go(lambda: once(opened(tmp_path, table, source)))
    go(lambda: once(opened(tmp_path, table, source)))
    assert (len(server.of("PATCH")), len(server.of("GET"))) == (1, 2)
    kept(tmp_path, table).write_bytes(b'{"target": "x", "batter')
    go(lambda: once(opened(tmp_path, table, source)))
    assert (len(server.of("PATCH")), len(server.of("GET"))) == (1, 3)


def test_an_older_snapshot_is_never_sent(server: PassportServer, source: MadeUpSource, tmp_path: Path) -> None:
    publisher = opened(tmp_path, settings(server.url), source)

    async def work() -> None:
        await once(publisher)
        source.put(now_ms() - 30 * MINUTE_MS, state_of_charge=5.0, capacity_fade=9.0)
        await once(publisher)

    go(work)
    assert len(server.of("PATCH")) == 1
    assert condition(server)["StateOfCharge"]["StateOfChargeValue"] == 71.25


def test_without_a_category_or_a_clock_nothing_is_sent(server: PassportServer, tmp_path: Path) -> None:
    source = MadeUpSource(category=None)
    source.put(now_ms() - MINUTE_MS)
    publisher = opened(tmp_path, settings(server.url), source)
    go(lambda: once(publisher))
    assert "category is not declared" in publisher.status.troubles[BATTERY]
    assert server.of("PATCH") == []


def test_a_clock_that_is_ahead_of_the_backends_is_told_and_poisons_nothing(
    server: PassportServer, source: MadeUpSource, tmp_path: Path
) -> None:
    source.put(now_ms() + 60 * MINUTE_MS)
    publisher = opened(tmp_path, settings(server.url), source)
    go(lambda: once(publisher))
    assert server.of("PATCH") == []
    assert "set this gateway's clock" in publisher.status.troubles[BATTERY]
