"""The AAS API against a server of others: that of basyx-python-sdk, which has no `$value` and takes whole elements."""

import base64
import json
import os
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.agent.publish.dpp.source import BATTERY, MINUTE_MS, MadeUpSource, now_ms, snapshot
from tests.agent.publish.dpp.station import go, once, opened, settings

from packseal.core.translate import MODELS, Subject
from packseal.core.translate.aas_unfold import unfolded
from packseal.core.translate.elements import TIME_NAMES
from packseal.publish.dpp.held import time_of

PYTHON = os.environ.get("PACKSEAL_AAS_PEER_PYTHON")
PROGRAM = """
from basyx.aas import model
from basyx.aas.adapter.aasx import DictSupplementaryFileContainer
from basyx.aas.adapter.http import WSGIApp
from werkzeug.serving import make_server

server = make_server("127.0.0.1", 0, WSGIApp(model.DictObjectStore(), DictSupplementaryFileContainer()))
print(server.server_port, flush=True)
server.serve_forever()
"""
SUBMODEL = f"{BATTERY}/ProductCondition"
PART_4 = "urn:example:battery:1/TechnicalData"
PART_1 = "urn:example:battery:1/Nameplate"


@pytest.fixture
def peer() -> Iterator[str]:
    if not PYTHON:
        pytest.skip("PACKSEAL_AAS_PEER_PYTHON names no Python with basyx-python-sdk 1.x: make test sets it")
    with subprocess.Popen([PYTHON, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as run:
        try:
            assert run.stdout is not None
            port = run.stdout.readline().strip()
            assert port, f"{PYTHON} cannot run the server of basyx-python-sdk"
            yield f"http://127.0.0.1:{port}/api/v3.0"
        finally:
            run.kill()


def call(method: str, url: str, body: object = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=10) as reply:
        return json.loads(reply.read() or b"null")


def place(peer: str, name: str = SUBMODEL) -> str:
    return f"{peer}/submodels/{base64.urlsafe_b64encode(name.encode()).decode().rstrip('=')}"


def values(peer: str, name: str = SUBMODEL) -> Any:
    return unfolded(call("GET", place(peer, name)))[0]


def element(name: str, value: object, value_type: str = "xs:double") -> dict[str, object]:
    return {"modelType": "Property", "idShort": name, "valueType": value_type, "value": str(value)}


def collection(name: str, *inner: dict[str, object]) -> dict[str, object]:
    return {"modelType": "SubmodelElementCollection", "idShort": name, "value": list(inner)}


CYCLES = collection("NumberOfFullCycles", element("NumberOfFullCyclesValue", 0, "xs:integer"))
"""The server does not know xs:unsignedInt, the type of the template, under its name in XML Schema."""


def submodel(name: str, *elements: dict[str, object]) -> dict[str, object]:
    return {"modelType": "Submodel", "id": name, "idShort": "Some", "submodelElements": list(elements)}


def source_of(at_ms: int) -> MadeUpSource:
    source = MadeUpSource()
    source.put(at_ms)
    return source


def test_elements_are_added_and_brought_up_to_date_and_keep_what_is_not_ours(peer: str, tmp_path: Path) -> None:
    theirs = collection("StateOfCharge", element("StateOfChargeValue", 5.0), element("Remark", "ours", "xs:string"))
    call("POST", f"{peer}/submodels", submodel(SUBMODEL, theirs, CYCLES, element("Other", 1.0)))
    source = source_of(now_ms() - 10 * MINUTE_MS)
    publisher = opened(tmp_path, settings(peer, dialect="aas"), source)

    async def work() -> None:
        await once(publisher)
        assert publisher.status.troubles == {}
        source.put(now_ms() - 5 * MINUTE_MS, state_of_charge=40.0, deep_discharge_events=3.0)
        await once(publisher)

    go(work)
    assert publisher.status.troubles == {}
    got = values(peer)
    assert got["StateOfCharge"]["StateOfChargeValue"] == 40.0
    assert got["StateOfCharge"]["Remark"] == "ours"
    assert got["Other"] == 1.0
    assert got["NumberOfFullCycles"]["NumberOfFullCyclesValue"] == 61
    assert [e["NegativeEventValue"] for e in got["NegativeEvents"]] == [
        "deep-discharge events: 3",
        "accidents on record: 0",
    ]
    whole = call("GET", place(peer))["submodelElements"]
    [charge] = [e for e in whole if e["idShort"] == "StateOfCharge"]
    [value] = [e for e in charge["value"] if e["idShort"] == "StateOfChargeValue"]
    assert {q["type"] for q in value["qualifiers"]} >= {"method", "originator", "unit"}


def test_what_the_server_then_holds_is_what_is_exported(peer: str, tmp_path: Path) -> None:
    call("POST", f"{peer}/submodels", submodel(SUBMODEL, CYCLES))
    at_ms = now_ms() - MINUTE_MS
    go(lambda: once(opened(tmp_path, settings(peer, dialect="aas"), source_of(at_ms))))
    exported = MODELS["aas"].translate(Subject(snapshot(at_ms), BATTERY, "lmt", None)).body
    assert comparable(values(peer)) == comparable(unfolded(exported)[0])


def comparable(value: Any) -> Any:
    """The values with times as instants, and a list that is empty as one that is not there."""
    if isinstance(value, dict):
        return {k: time_of(value) if k in TIME_NAMES else comparable(v) for k, v in value.items() if v != []}
    if isinstance(value, list):
        return [comparable(entry) for entry in value]
    if isinstance(value, str) and value.startswith("20"):
        return time_of({"LastUpdate": value})
    return value


def test_an_element_that_the_server_does_not_understand_is_told_and_holds_up_no_other(
    peer: str, tmp_path: Path
) -> None:
    call("POST", f"{peer}/submodels", submodel(SUBMODEL))
    publisher = opened(tmp_path, settings(peer, dialect="aas"), source_of(now_ms() - MINUTE_MS))
    go(lambda: once(publisher))
    assert values(peer)["StateOfCharge"]["StateOfChargeValue"] == 71.25
    trouble = publisher.status.troubles[BATTERY]
    assert "NumberOfFullCycles refused: " in trouble
    assert "unsignedInt" in trouble


def test_the_other_parts_are_written_where_they_are_named_and_have_the_element(peer: str, tmp_path: Path) -> None:
    areas = collection("TechnicalPropertyAreas", collection("CapacityEnergyVoltage", element("CapacityFade", 0.0)))
    call("POST", f"{peer}/submodels", submodel(SUBMODEL, CYCLES))
    call("POST", f"{peer}/submodels", submodel(PART_4, areas))
    call("POST", f"{peer}/submodels", submodel(PART_1))
    table = settings(
        peer, f'[[battery]]\nid = "{BATTERY}"\ntechnical_data = "{PART_4}"\nnameplate = "{PART_1}"', dialect="aas"
    )
    publisher = opened(tmp_path, table, source_of(now_ms() - MINUTE_MS))
    go(lambda: once(publisher))
    assert values(peer, PART_4)["TechnicalPropertyAreas"]["CapacityEnergyVoltage"]["CapacityFade"] == 2.6
    assert list(publisher.status.troubles) == [BATTERY]
    assert "LifeCycleStage refused: " in publisher.status.troubles[BATTERY]
    assert "add it from the template" in publisher.status.troubles[BATTERY]


def test_a_newer_value_of_another_stays(peer: str, tmp_path: Path) -> None:
    newer = element("LastUpdate", "2099-01-01T00:00:00Z", "xs:dateTime")
    theirs = collection("StateOfCharge", element("StateOfChargeValue", 5.0), newer)
    call("POST", f"{peer}/submodels", submodel(SUBMODEL, theirs))
    go(lambda: once(opened(tmp_path, settings(peer, dialect="aas"), source_of(now_ms() - MINUTE_MS))))
    assert values(peer)["StateOfCharge"]["StateOfChargeValue"] == 5.0
    assert values(peer)["TemperatureInformation"]["MeasuredTemp"] == 23.5


def test_a_submodel_that_is_not_there_is_named(peer: str, tmp_path: Path) -> None:
    publisher = opened(tmp_path, settings(peer, dialect="aas"), source_of(now_ms() - MINUTE_MS))
    go(lambda: once(publisher))
    assert "create it there, or correct its id" in publisher.status.troubles[BATTERY]
