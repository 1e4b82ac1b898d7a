"""A battery's log made here, and the evidence of a world in which all is well with it."""

import os
from collections import Counter
from collections.abc import Sequence

from packseal.core.bodies import Body, Event, Gap, GapCause, Lifecycle, LifecycleCode
from packseal.core.chain import Head, Pen, SealedRecord
from packseal.core.passport import Field, Reading, Snapshot
from packseal.core.record import parse
from packseal.core.sample import ClockQuality, EventCode, Instant
from packseal.demo.audit import LogAudit
from packseal.keys.file import FileSigner
from packseal_hil.scenario.evidence import Evidence
from packseal_hil.scenario.gateway import BATTERY, GATEWAY

LOG_ID = bytes(range(16))
GOOD: tuple[Body, ...] = (
    Lifecycle(LifecycleCode.LOG_BEGUN),
    Event(EventCode.BUS_OFF),
    Gap(GapCause.NO_SAMPLES, 1_000, 5_000),
    Snapshot((Reading(Field.STATE_OF_CHARGE, 50.0),)),
    Lifecycle(LifecycleCode.AGENT_STOPPED),
)


def sealed(signer: FileSigner, bodies: Sequence[Body] = GOOD) -> list[SealedRecord]:
    """Return these bodies as the records of one log, a second apart."""
    pen = Pen(signer, GATEWAY, BATTERY, LOG_ID, os.urandom(8), Head())
    at = (Instant(n * 10**9, 10**18 + n * 10**9, ClockQuality.NTP) for n in range(len(bodies)))
    return [pen.write(body, instant) for body, instant in zip(bodies, at, strict=True)]


def evidence(signer: FileSigner, bodies: Sequence[Body] = GOOD) -> Evidence:
    """Return what a world leaves in which all of it has arrived."""
    records = [parse(record.raw) for record in sealed(signer, bodies)]
    count = len(records)
    audit = LogAudit(BATTERY, LOG_ID.hex(), True, count, count, count, count)  # noqa: FBT003
    reading = {"field": "state_of_charge", "value": 50.0, "uncertainty": None, "missing": None}
    return Evidence(
        audits=[audit],
        records=records,
        snapshot={"sequence": 3, "readings": [reading]},
        logs_shown=1,
        counted=count,
        refused=Counter(),
        said="INFO recording 1 of 1",
        truth={Field.STATE_OF_CHARGE: 50.4},
    )
