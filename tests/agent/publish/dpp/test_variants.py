"""The ways in which implementers of EN 18222 differ: each is met, and requests are as a public description has them."""

import time
from pathlib import Path
from typing import Any

import pytest
from tests.agent.publish.dpp.descriptions import description, faults
from tests.agent.publish.dpp.passport_server import JSON, MERGE_PATCH, PASSPORT, PassportServer, passport
from tests.agent.publish.dpp.source import BATTERY, MadeUpSource, snapshot
from tests.agent.publish.dpp.station import go, once, opened, settings

from packseal.core.merge_patch import merged, patch_of
from packseal.core.translate import MODELS, Subject
from packseal.core.translate.elements import elements
from packseal.core.translate.en18223 import PRODUCT_CONDITION
from packseal.publish.dpp.answers import content, explain, status_of
from packseal.uplink.http import Reply

AT_MS = time.time_ns() // 1_000_000 - 600_000
LISTED = f'[[battery]]\nid = "{BATTERY}"\npassport = "{PASSPORT}"'


def published(server: PassportServer, folder: Path, text: str = "", capacity_fade: float = 2.6) -> Any:
    source = MadeUpSource()
    source.put(AT_MS, capacity_fade=capacity_fade)
    publisher = opened(folder, settings(server.url, text), source)
    go(lambda: once(publisher))
    assert publisher.status.troubles == {}
    assert publisher.status.connected, publisher.status.state
    return server.document


def is_there(document: Any, section: str = PRODUCT_CONDITION) -> bool:
    return bool(document[section]["StateOfCharge"]["StateOfChargeValue"] == 71.25)


@pytest.mark.parametrize("media", [MERGE_PATCH, JSON])
def test_either_media_type_of_the_patch(server: PassportServer, tmp_path: Path, media: str) -> None:
    server.media = {media}
    assert is_there(published(server, tmp_path))
    assert server.of("PATCH")[-1].headers["content-type"] == media


def test_a_backend_without_update_by_id_gets_elements(server: PassportServer, tmp_path: Path) -> None:
    server.offers = {"elements"}
    assert is_there(published(server, tmp_path))
    taken = [patch for patch in server.of("PATCH") if patch.status == 200]
    assert len(taken) == 10
    assert all("/elements/%24%5B%27urn%3Asamm" in patch.path for patch in taken)


def test_a_backend_that_can_only_be_read_is_told_and_no_value_is_blamed(server: PassportServer, tmp_path: Path) -> None:
    server.offers = set()
    source = MadeUpSource()
    source.put(AT_MS)
    publisher = opened(tmp_path, settings(server.url), source)
    go(lambda: once(publisher))
    assert "offers no way to write" in publisher.status.state
    assert publisher.status.troubles == {}


@pytest.mark.parametrize("name", ["lastUpdate", "lastUpdated"])
def test_the_header_is_echoed_where_whole_passports_are_wanted(
    server: PassportServer, tmp_path: Path, name: str
) -> None:
    server.whole_only = True
    header = {**passport(), "granularity": "item", name: passport()["lastUpdate"]}
    server.passports[PASSPORT] = (
        header if name == "lastUpdate" else {k: v for k, v in header.items() if k != "lastUpdate"}
    )
    document = published(server, tmp_path, "header = true")
    assert is_there(document)
    assert (document["granularity"], document[name][:4]) == ("item", "2026")
    assert len([key for key in document if key.startswith("lastUpdate")]) == 1
    [patch] = server.of("PATCH")
    if name == "lastUpdated":
        media = {**patch.headers, "content-type": JSON}
        assert faults(type(patch)(patch.method, patch.path, media, patch.body), description("openepcis")) == []


def test_the_envelope_around_the_passport(server: PassportServer, tmp_path: Path) -> None:
    server.envelope = True
    assert is_there(published(server, tmp_path))


def test_an_error_in_a_reply_of_success_is_an_error(server: PassportServer, tmp_path: Path) -> None:
    server.envelope = True
    server.refuses = {"CapacityFade": (400, "no such element")}
    source = MadeUpSource()
    source.put(AT_MS)
    publisher = opened(tmp_path, settings(server.url), source)
    go(lambda: once(publisher))
    assert is_there(server.document)
    assert "no such element" in publisher.status.troubles[BATTERY]


def test_the_full_form_is_answered_by_asking_for_the_compressed_one(server: PassportServer, tmp_path: Path) -> None:
    server.full_form = True
    assert is_there(published(server, tmp_path))
    assert [get.path.partition("?")[2] for get in server.of("GET")] == ["", "representation=compressed"]


def test_identifiers_in_base64url(server: PassportServer, tmp_path: Path) -> None:
    server.base64url = True
    assert is_there(published(server, tmp_path, "base64url = true"))


def test_a_passport_may_name_its_sections_otherwise(server: PassportServer, tmp_path: Path) -> None:
    name = "https://example.org/condition"
    document = published(server, tmp_path, f'[sections]\nproduct_condition = "{name}"')
    assert is_there(document, name)
    assert PRODUCT_CONDITION not in document


@pytest.mark.parametrize("text", ["", LISTED], ids=["by-product", "by-id"])
def test_a_passport_is_found_by_its_id_or_by_its_product(server: PassportServer, tmp_path: Path, text: str) -> None:
    assert is_there(published(server, tmp_path, text))
    assert ("dppsByProductId" in server.of("GET")[0].path) == (not text)


@pytest.mark.parametrize("write", ["whole", "elements"])
def test_every_request_is_as_the_description_has_it(server: PassportServer, tmp_path: Path, write: str) -> None:
    known = description("basyx-go")
    published(server, tmp_path, f'write = "{write}"\n{LISTED}', capacity_fade=3.0)
    (tmp_path / "other").mkdir()
    published(server, tmp_path / "other", f'write = "{write}"')
    assert len(server.asked) >= 3
    assert {asked.path: wrong for asked in server.asked if (wrong := faults(asked, known))} == {}


def test_what_is_patched_is_what_is_exported(server: PassportServer, tmp_path: Path) -> None:
    """Without what the export has of the manufacturer's and of the header."""
    document = published(server, tmp_path)
    exported = MODELS["en18223"].translate(Subject(snapshot(AT_MS), BATTERY, "lmt", PASSPORT)).body
    sections = {name: section for name, section in exported.items() if name.startswith("urn:samm:")}
    assert merged(document, sections) != document  # the declared capacity and the month are only in the export
    parts = elements(Subject(snapshot(AT_MS), BATTERY, "lmt", PASSPORT))
    patch = patch_of((part.path, part.value) for part in parts)
    assert {name: document[name] for name in patch} == patch
    assert merged(sections, patch) == sections


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"messages": [{"text": "a"}, {"text": "b"}]}', "a; b"),
        (b'{"statusCode": "ClientErrorBadRequest", "message": [{"text": "a"}]}', "a"),
        (b'{"result": {"message": [{"text": "a"}]}, "payload": null}', "a"),
        (b'{"Result": {"messages": [{"text": "a"}]}}', "a"),
        (b'{"title": "Bad", "detail": "a"}', "a; Bad"),
        (b'{"error": "invalid", "error_description": "a"}', "a; invalid"),
        (b"<html>\x1b[2J\nno</html>", "<html>[2J no</html>"),
        (b"", "no text"),
        (b"[[[[[[]]]]]]", "[[[[[[]]]]]]"),
        (b'{"message": "' + b"x" * 5000 + b'"}', "x" * 300),
    ],
    ids=["messages", "message", "payload", "Result", "problem", "oauth", "html", "empty", "nested", "long"],
)
def test_every_envelope_tells_its_reason(body: bytes, text: str) -> None:
    assert explain(Reply(400, {}, body)) == text


def test_a_payload_is_taken_out_of_its_envelope_only() -> None:
    assert content(Reply(200, {}, b'{"statusCode": "Success", "payload": {"a": 1}}')) == {"a": 1}
    assert content(Reply(200, {}, b'{"payload": 1, "b": 2}')) == {"payload": 1, "b": 2}
    assert status_of(Reply(200, {}, b'{"statusCode": "ServerErrorBadGateway"}')) == 502
    assert status_of(Reply(200, {}, b'{"statusCode": "Success"}')) == 200
