"""The JSON API and the static page of a real sink process on loopback."""

import time
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.cloud_sink.conftest import NOW_MS, SINK, pem_of
from tests.cloud_sink.pack import BATTERY, CELLS, GATEWAY, LOG_ID, START_MS, Pack
from tests.cloud_sink.running import SinkProcess, battery_path

from packseal.core import record
from packseal.core.passport import Field, Snapshot
from packseal.keys.file import FileSigner
from packseal_sink.database import Database
from packseal_sink.ingest import Ingest
from packseal_sink.reader import Reader
from packseal_sink.store import Store
from packseal_sink.writing import record_row

MANY = 50_000
PAGE_CHARACTERS = 500_000  # a page of points, not of snapshots


@pytest.fixture
def filled(running: SinkProcess, records: list[bytes]) -> SinkProcess:
    running.start()
    running.send(records)
    return running


def last_snapshot(records: list[bytes]) -> tuple[record.Record, Snapshot]:
    entries = [record.parse(raw) for raw in records]
    entry = [e for e in entries if isinstance(e.body, Snapshot)][-1]
    assert isinstance(entry.body, Snapshot)
    return entry, entry.body


def test_the_battery_list_says_who_where_and_how_it_is(
    filled: SinkProcess, records: list[bytes], gateway_key: FileSigner
) -> None:
    (battery,) = filled.json("/batteries")
    (log,) = battery.pop("logs")
    _, snapshot = last_snapshot(records)
    values = {r.field: r.value for r in snapshot.readings}
    assert battery.pop("health_since") is not None
    assert battery == {
        "id": BATTERY,
        "health": "ok",
        "state_of_charge_pct": values[Field.STATE_OF_CHARGE],
        "state_of_health_bms_pct": 93.5,
        "snapshot": len(records) - 1,
        "to_come": 0,
        "refused": {},
        "signs": [],
        "present_log": LOG_ID.hex(),
    }
    assert (log["gateway"], log["kid"], log["log_id"]) == (GATEWAY, gateway_key.kid.hex(), LOG_ID.hex())
    assert (log["records"], log["verified_up_to"]) == (len(records), len(records) - 1)


def test_a_snapshot_says_every_reading_with_its_origin_and_verification(
    filled: SinkProcess, records: list[bytes], gateway_key: FileSigner
) -> None:
    got = filled.json(f"{battery_path(BATTERY)}/snapshot")
    entry, snapshot = last_snapshot(records)
    assert [r["field"] for r in got["readings"]] == [r.field.key for r in snapshot.readings]
    for shown, reading in zip(got["readings"], snapshot.readings, strict=True):
        assert (shown["value"], shown["uncertainty"], shown["unit"]) == (
            reading.value,
            reading.uncertainty,
            reading.field.unit,
        )
        assert (shown["missing"] is None) == (reading.missing is None)
        if reading.missing is None:
            assert (shown["originator"], shown["coverage"]) == (reading.originator.name.lower(), reading.coverage)
            updated = datetime.fromisoformat(shown["last_update"]).timestamp()
            assert updated * 1000 == reading.last_update_ms
            assert shown["age_s"] == pytest.approx(time.time() - updated, abs=30)
            assert shown["last_update"].endswith("Z")
    assert got["sequence"] == entry.header.sequence
    assert got["verification"] == {
        "state": "verified",
        "text": f"the signature holds, chain unbroken from record 0 to {len(records) - 1}",
        "verified_up_to": len(records) - 1,
        "gateway": GATEWAY,
        "kid": gateway_key.kid.hex(),
        "algorithm": "EDDSA",
        "record_hash": entry.hash.hex(),
    }
    assert len(got["cells_v"]) == CELLS
    assert {p["quantity"] for p in got["present"]} == {"pack_voltage_v", "pack_current_a", "temperature_c"}


def test_history_is_in_order_and_keeps_the_extremes(filled: SinkProcess, records: list[bytes]) -> None:
    snapshots = [e for e in map(record.parse, records) if isinstance(e.body, Snapshot)]
    path = f"{battery_path(BATTERY)}/history?field=capacity_throughput"
    every = filled.json(path)
    assert (every["stored"], every["downsampled"], every["unit"]) == (len(snapshots), False, "Ah")
    assert [p["sequence"] for p in every["points"]] == [e.header.sequence for e in snapshots]
    assert [p["wall_ms"] for p in every["points"]] == [e.header.wall_ms for e in snapshots]
    some = filled.json(f"{path}&limit=10")
    assert some["downsampled"]
    assert 4 <= len(some["points"]) <= 10
    assert all(point in every["points"] for point in some["points"])
    assert (some["points"][0], some["points"][-1]) == (every["points"][0], every["points"][-1])
    newest_ms = every["points"][-1]["wall_ms"]
    recent = filled.json(f"{path}&span_s=600")
    assert [p["wall_ms"] for p in recent["points"]] == [
        p["wall_ms"] for p in every["points"] if p["wall_ms"] >= newest_ms - 600_000
    ]


def test_events_and_gaps_are_listed(filled: SinkProcess) -> None:
    listed = filled.json(f"{battery_path(BATTERY)}/records")
    assert [(e["kind"], e["code"]) for e in listed] == [
        ("gap", "unclean_stop"),
        ("gap", "no_samples"),
        ("event", "bus_recovered"),
        ("event", "bus_silent"),
        ("lifecycle", "log_begun"),
    ]
    assert listed[3]["attributes"] == {"silent_ms": 5000}


def test_status_counts_everything(filled: SinkProcess, records: list[bytes], gateway_key: FileSigner) -> None:
    filled.send(records[-3:])
    filled.send(Pack(gateway_key, start_ms=NOW_MS).begin())
    filled.send(Pack(FileSigner(Ed25519PrivateKey.generate()), log_id=b"2" * 16).begin())
    status = filled.json("/status")
    tallies = status["tallies"]
    assert (status["sink"], status["mqtt"], status["trouble"]) == (SINK, None, "")
    assert tallies["verified"] == sum(tallies["records"].values()) == len(records)
    assert tallies["records"]["gap"] == 2
    assert tallies["bytes"] == sum(map(len, records))
    assert (tallies["receipts"], tallies["duplicates"]) == (3, 3)
    assert tallies["refused"] == {"fork": 1, "unknown_gateway": 1}
    assert (tallies["batteries"], tallies["gateways"]) == (1, 1)
    gateways = filled.json("/gateways")
    assert gateways["gateways"][0]["refused"] == {"fork": 1}
    assert gateways["unknown_refused"] == {"unknown_gateway": 1}


def test_ids_that_are_web_addresses_work(running: SinkProcess, gateway_key: FileSigner) -> None:
    name = "https://example.com/batteries/1?x=1#y"
    running.start()
    pack = Pack(gateway_key, battery=name)
    running.send(pack.begin() + pack.drive(61))
    assert running.json(f"{battery_path(name)}/snapshot")["battery"] == name
    assert f'href="/battery/{quote(name, safe="")}"' in running.get("/")
    assert f"<h1>{name}</h1>" in running.get(f"/battery/{quote(name, safe='')}")


@pytest.mark.parametrize(
    ("target", "status", "text"),
    [
        ("/batteries/urn:none/snapshot", 404, "no battery urn:none has sent anything"),
        (f"/batteries/{BATTERY}/history?field=soc", 400, "is none of state_of_charge, "),
        (f"/batteries/{BATTERY}/history?field=state_of_charge&limit=0", 400, "whole number from 2 to 5000"),
        (f"/battery/{BATTERY}?span=year", 400, "span must be one of hour, day, week, all"),
        ("/battery/urn:none", 404, "no battery urn:none has sent anything"),
        ("/nothing", 404, "Not Found"),
        ("/static/../reader.py", 404, "Not Found"),
    ],
)
def test_a_wrong_question_is_told_in_words(filled: SinkProcess, target: str, status: int, text: str) -> None:
    response, body = filled.request("GET", target)
    assert (response.status, text in body.decode()) == (status, True), body


def test_the_exchange_takes_only_what_it_is_for(filled: SinkProcess) -> None:
    assert filled.request("POST", "/v1/exchange", b"x")[0].status == 415
    assert filled.request("GET", "/v1/exchange")[0].status == 405
    large = bytes((8 << 20) + 1)
    assert filled.request("POST", "/v1/exchange", large, content_type="application/cbor")[0].status == 413


def test_the_page_is_complete_without_javascript_and_asks_no_other_host(filled: SinkProcess) -> None:
    response, body = filled.request("GET", f"/battery/{BATTERY}")
    page = body.decode()
    assert response.headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self';")
    assert "<h1>urn:example:battery:1</h1>" in page
    assert page.count("data-chart=") >= 13
    assert page.count('<path class="line"') >= page.count("data-chart=")
    assert page.index("Passport fields") < page.index("Beside the passport") < page.index("Not available")
    assert "<dt>this BMS does not report what is needed</dt>" in page
    assert 'class="column low"' in page
    assert "://" not in page.replace('xmlns="http://www.w3.org', "")
    assert "style=" not in page
    assert "<script>" not in page
    assert (
        filled.request("GET", f"/battery/{BATTERY}", None, None, if_none_match=response.headers["ETag"])[0].status
        == 304
    )


def test_a_record_changed_in_the_database_is_shown_as_damaged(
    database: Database, ingest: Ingest, reader: Reader, records: list[bytes]
) -> None:
    for raw in records[:20]:
        ingest_one(ingest, raw)
    sequence = reader.battery(BATTERY).snapshot
    assert sequence is not None
    assert reader.snapshot(BATTERY).verification.state == "verified"
    raw = records[sequence][:-1] + bytes([records[sequence][-1] ^ 1])
    database.connection.execute("UPDATE record SET raw = ? WHERE id = ?", (raw, record_row(1, sequence)))
    damaged = reader.snapshot(BATTERY).verification
    assert (damaged.state, damaged.text) == ("damaged", "the signature does not fit the bytes and the key")


def test_a_battery_with_two_logs_says_so_and_shows_the_newest(
    database: Database, ingest: Ingest, reader: Reader, gateway_key: FileSigner, records: list[bytes]
) -> None:
    for raw in records[:10]:
        ingest_one(ingest, raw)
    with database.transaction() as connection:
        connection.execute("UPDATE log SET last_received_ms = last_received_ms - 1")
    moved = Pack(gateway_key, log_id=b"M" * 16)
    for raw in moved.begin() + moved.drive(61):
        ingest_one(ingest, raw)
    battery = reader.battery(BATTERY)
    assert [log.log_id for log in battery.logs] == [(b"M" * 16).hex(), LOG_ID.hex()]
    assert reader.snapshot(BATTERY).log_id == (b"M" * 16).hex()


def test_fifty_thousand_snapshots_are_thinned_and_keep_their_extremes(
    running: SinkProcess, gateway_key: FileSigner
) -> None:
    database = Database(running.folder / "sink.db", write=True)
    ingest = Ingest(Store(database), gateway_key, SINK, lambda: NOW_MS)
    pack = Pack(gateway_key)
    for raw in pack.begin() + pack.drive(61):
        ingest_one(ingest, raw)
    with database.transaction() as connection:
        connection.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
            " INSERT INTO reading SELECT 1, f.value, 2 + 2 * i, ? + 60000 * i, (i * 7919) % 1000, NULL, 1, 1, ?, 0, 1"
            " FROM json_each(?) f, n",  # 7919 is prime to 1000: every value comes, in no order
            (MANY, START_MS, START_MS, str([f.code for f in Field])),
        )
    database.close()
    running.start()
    answer = running.json(f"{battery_path(BATTERY)}/history?field=energy_throughput&limit=500")
    assert answer["stored"] > MANY
    assert answer["downsampled"] is True
    assert 100 < len(answer["points"]) <= 500
    values = [point["value"] for point in answer["points"]]
    assert (min(values), max(values)) == (0, 999)
    for target in (f"/battery/{BATTERY}?span=day", f"/battery/{BATTERY}?span=all", "/"):
        assert len(running.get(target)) < PAGE_CHARACTERS


def ingest_one(ingest: Ingest, raw: bytes) -> None:
    from packseal.core import exchange  # noqa: PLC0415

    assert exchange.decode_reply(ingest.handle(exchange.encode_batch([raw]))).refused == ()


def test_a_gateway_key_file_is_not_needed_on_the_sink(running: SinkProcess, gateway_key: FileSigner) -> None:
    assert (running.folder / "gateway.pub").read_bytes() == pem_of(gateway_key)
    assert sorted(p.name for p in Path(running.folder).glob("*.key")) == ["sink.key"]
