"""The AAS API by `$value` against a small server of our own: test_aas_peer.py has one of others, without `$value`."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.agent.publish.dpp.source import BATTERY, MadeUpSource, snapshot
from tests.agent.publish.dpp.station import go, once, opened, settings
from tests.agent.publish.dpp.submodel_server import SubmodelServer

from packseal.core.translate import MODELS, Subject
from packseal.core.translate.aas_unfold import unfolded

AT_MS = time.time_ns() // 1_000_000 - 600_000
SUBMODEL = f"{BATTERY}/ProductCondition"


@pytest.fixture
def repository() -> Iterator[SubmodelServer]:
    with SubmodelServer() as running:
        running.submodels = {SUBMODEL: {"Other": 1}, "part-1": {}}
        yield running


@pytest.fixture
def source() -> MadeUpSource:
    made = MadeUpSource()
    made.put(AT_MS)
    return made


def test_values_are_patched_together_and_are_those_of_the_export(
    repository: SubmodelServer, source: MadeUpSource, tmp_path: Path
) -> None:
    table = settings(repository.url, f'[[battery]]\nid = "{BATTERY}"\nnameplate = "part-1"', dialect="aas")
    publisher = opened(tmp_path, table, source)
    go(lambda: once(publisher))
    assert publisher.status.troubles == {}
    got = dict(repository.submodels[SUBMODEL])
    assert got.pop("Other") == 1
    exported = unfolded(MODELS["aas"].translate(Subject(snapshot(AT_MS), BATTERY, "lmt", None)).body)[0]
    assert got == exported
    assert repository.submodels["part-1"] == {"LifeCycleStage": "original"}
    assert [asked.path.rpartition("/")[2] for asked in repository.of("PATCH")] == ["$value", "$value"]


def test_one_refused_value_holds_up_no_other(repository: SubmodelServer, source: MadeUpSource, tmp_path: Path) -> None:
    repository.refuses = {"RemainingCapacity"}
    publisher = opened(tmp_path, settings(repository.url, dialect="aas"), source)
    go(lambda: once(publisher))
    assert "RemainingCapacity" not in repository.submodels[SUBMODEL]
    assert repository.submodels[SUBMODEL]["StateOfCharge"]["StateOfChargeValue"] == 71.25
    assert "value out of range" in publisher.status.troubles[BATTERY]
    assert any("/submodel-elements/RemainingCapacity/$value" in asked.path for asked in repository.of("PATCH"))


def test_an_element_that_is_not_there_is_added(
    repository: SubmodelServer, source: MadeUpSource, tmp_path: Path
) -> None:
    repository.strict = True
    publisher = opened(tmp_path, settings(repository.url, dialect="aas"), source)
    go(lambda: once(publisher))
    assert publisher.status.troubles == {}
    assert repository.submodels[SUBMODEL]["StateOfCharge"] == {"posted": True}
    posted = {asked.json["idShort"] for asked in repository.of("POST")}
    assert posted >= {"StateOfCharge", "NumberOfFullCycles", "NegativeEvents"}
    assert all(asked.json["modelType"] for asked in repository.of("POST"))
