"""A run as a technician would meet it: passed, failed, broken and skipped scenarios, made by code."""

import math

from packseal_hil.report.folder import Check, Run
from packseal_hil.story import Band, Comparison, Point, Story, Trace, Verdict

BEGAN_S = 1_790_000_000.0
VIRTUAL = "virtual gateway: Debian 13, kernel 6.12, amd64 under emulation"


def points(seconds: int, dead: tuple[int, int] = (0, 0), offline: tuple[int, int] = (0, 0)) -> list[Point]:
    """A record every two seconds, none while the bus is dead, none received while the network is offline."""
    sealed = samples = received = receipted = 0
    told = []
    for at in range(seconds + 1):
        alive = not dead[0] <= at < dead[1]
        samples += 10 * alive
        sealed += alive and at % 2 == 0
        if not offline[0] <= at < offline[1]:
            receipted = received
            received = min(sealed, received + 6)
        told.append(Point(float(at), samples, sealed, received, receipted))
    return told


def trace(title: str, unit: str, seconds: int, middle: float, swing: float, *, hours: bool = False) -> Trace:
    at = [n / 4 / (3600 if hours else 1) for n in range(seconds * 4)]
    value = [middle + swing * math.sin(n / 31) * math.sin(n / 7.3) for n in range(seconds * 4)]
    return Trace(title, unit, at, value, hours)


def bus_off() -> Story:
    held = [
        Verdict(
            "The agent reads again without a restart", held=True, found="first sample 1.2 s after the bus was mended"
        ),
        Verdict("The silence is a signed gap record", held=True, found="1 gap record, 25.0 s, reason link_down"),
        Verdict(
            "Every sealed record arrives",
            held=False,
            found="records 14 to 16 of log 3fa9c1 are missing at the sink, 45 s after the fault had ended",
        ),
    ]
    return Story(
        "bus-off",
        "The bus goes off and comes back",
        "A CAN controller that sees too many errors leaves the bus. The agent has to notice, say so in its log and "
        "read on as soon as the bus is back, and nothing that was sealed before may be lost.",
        VIRTUAL,
        BEGAN_S,
        96.4,
        points=points(96, dead=(20, 45), offline=(38, 60)),
        bands=[Band("error-passive", 12, 20), Band("bus-off", 20, 45), Band("network down", 38, 60)],
        traces=[
            trace("Pack current", "A", 96, -12, 40),
            trace("Pack voltage", "V", 96, 51.8, 1.4),
            trace("Coldest cell", "°C", 96, 19.5, 0.4),
            trace("Hottest cell", "°C", 96, 24, 1),
        ],
        verdicts=held,
        figures={"recovery_s": 1.2, "frames_per_s": 188},
    )


def compressed_day() -> Story:
    compared = [
        Comparison("state_of_charge", "%", 61.24, 61.0, 0.5),
        Comparison("remaining_capacity", "Ah", 92.137, 91.62, 0.61),
        Comparison("capacity_throughput", "Ah", 184.902, 184.871, 0.093),
        Comparison("energy_throughput", "kWh", 9.4413, 9.4398, 0.0048),
        Comparison("internal_resistance_increase", "%", 12.4, 19.8, 1.1),
        Comparison("full_cycles", "1", 0.9245, 0.9244),
        Comparison("state_of_certified_energy", "%", 94.1, None),
        Comparison("overcharge_events", "1", 0, 0),
    ]
    return Story(
        "day-compressed",
        "A day in a minute",
        "A day of a delivery van is replayed a thousand times faster: what the passport says at its end has to be what "
        "the battery truly did.",
        VIRTUAL,
        BEGAN_S + 120,
        88.0,
        points=points(88),
        traces=[
            trace("Pack current", "A", 24 * 900, 0, 120, hours=True),
            trace("State of charge", "%", 24 * 900, 60, 30, hours=True),
        ],
        verdicts=[
            Verdict("Fields agree with the truth within 2 standard uncertainties", held=True, found="6 of 6 fields"),
            Verdict("Nothing was lost", held=True, found="44 sealed, 44 received"),
        ],
        comparisons=compared,
    )


def power_cut() -> Story:
    cuts = [Band("power cut", at, at + 4) for at in (15, 40, 61)]
    return Story(
        "power-cut-while-syncing",
        "Power cuts while records are being sent",
        "A gateway in a vehicle loses its supply at any moment.",
        VIRTUAL,
        BEGAN_S + 300,
        80.5,
        points=points(80, offline=(15, 19)),
        bands=cuts,
        verdicts=[Verdict("No record that the sink holds is missing", held=True, found="3 cuts, 40 records")],
        figures={"boot_s": 11.8},
    )


def others() -> list[Story]:
    return [
        Story(
            "clock-1970",
            "The clock says 1970 at boot",
            "A Raspberry Pi has no battery-backed clock.",
            VIRTUAL,
            BEGAN_S + 400,
            31.0,
            points=points(12),
            bands=[Band("clock at 1970-01-01", 0, 12)],
            error="the device did not answer within 60 s after its clock was set: the guest's serial line says\n"
            "BUG: workqueue lockup - pool cpus=0 node=0 flags=0x0 nice=0 stuck for 33s!",
        ),
        Story(
            "bus-unplugged-real",
            "The plug is drawn by hand",
            "Contacts bounce.",
            VIRTUAL,
            BEGAN_S + 440,
            skipped="this rig cannot do bus-faults: name a bench.toml with an adapter that can",
        ),
        Story(
            "broker-restart",
            "The broker is restarted",
            "Brokers are updated while gateways are connected.",
            VIRTUAL,
            BEGAN_S + 450,
            41.2,
            points=points(41, offline=(10, 14)),
            bands=[Band("broker down", 10, 14)],
            verdicts=[Verdict("Every sealed record arrives", held=True, found="21 sealed, 21 received, 21 receipted")],
        ),
    ]


def stories() -> list[Story]:
    return [compressed_day(), bus_off(), power_cut(), *others()]


def rest() -> Run:
    path = "tests/hil/powercut/test_cuts.py"
    return Run(
        "virtual",
        "0.1.0",
        {"boot_s": 11.84, "frames_per_s": 2262, "cuts_survived": 40, "image_build_s": 112.5},
        [
            Check(f"{path}::test_forty_cuts", "passed", 61.2),
            Check(
                f"{path}::test_a_journal_that_does_not_sync_is_caught",
                "failed",
                9.8,
                "AssertionError: nothing was lost",
            ),
            Check(
                "tests/hil/gateway/test_tpm.py::test_key", "skipped", 0, "swtpm is not installed: apt-get install swtpm"
            ),
        ],
    )
