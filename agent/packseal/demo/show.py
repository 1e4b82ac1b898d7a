"""Show: one demo from its first process to its report."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

import msgspec

from packseal.core.errors import PacksealError, StorageError
from packseal.demo import plan as plans
from packseal.demo import report, view, watch
from packseal.demo.audit import audit
from packseal.demo.options import DemoOptions
from packseal.demo.places import DRAIN_S
from packseal.demo.report import Outcome
from packseal.demo.stage import Stage
from packseal.demo.view import View
from packseal.demo.watch import Glance

LOOK_S = 0.1


@dataclass(slots=True)
class Stop:
    """Whether the user has had enough; a second Ctrl-C does not wait for anything."""

    asked: bool = False

    def ask(self, _number: int, _frame: FrameType | None) -> None:
        """Take note of a signal."""
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


def run(options: DemoOptions) -> int:
    """Run the demo that the user asked for, write its report, and return 0 when every record has arrived, else 1.

    Raises:
        PacksealError: it could not be started.
    """
    began_s = time.monotonic()
    try:
        if options.report is not None:
            _write_report(options.report, report.failure("still running, or killed"))
        plan = plans.make(options)
        with _listening() as stop, Stage(plan) as stage:
            outcome = _perform(stage, stop, began_s)
            stage.failed = not outcome.is_well
    except PacksealError as error:
        if options.report is not None:
            with suppress(StorageError):
                _write_report(options.report, report.failure(str(error)))
        raise
    if options.report is not None:
        _write_report(options.report, report.document(plan, outcome))
    view.summarise(plan, outcome)
    return 0 if outcome.is_well else 1


def _perform(stage: Stage, stop: Stop, began_s: float) -> Outcome:
    """Watch until the end, let the agent finish, and take stock; a part that dies is a complaint, not the end."""
    complaints: list[str] = []
    with view.opened(stage.plan) as shown:
        glance = Glance(began_s)
        try:
            glance, why = _watch(stage, stop, shown, began_s)
            glance = _finish(stage, shown, glance)
        except PacksealError as error:
            complaints.append(str(error))
            glance, why = _last(stage.glance(), shown.latest or glance), "failure"
            stage.children["agent"].end()
    return _take_stock(stage, Outcome(time.monotonic() - began_s, why, glance, complaints=complaints))


def _watch(stage: Stage, stop: Stop, shown: View, began_s: float) -> tuple[Glance, str]:
    """Return the last glance, and why it was the last."""
    seconds = stage.plan.options.seconds
    while True:
        stage.check()
        glance = stage.glance()
        shown.show(glance)
        if glance.has_ended:
            return glance, "end of the table"
        if stop.asked:
            return glance, "signal"
        if seconds is not None and time.monotonic() - began_s >= seconds:
            return glance, "--seconds"
        time.sleep(LOOK_S)


def _finish(stage: Stage, shown: View, glance: Glance) -> Glance:
    """End the agent, which seals what is open and waits for the receipts, and watch it do so."""
    agent = stage.children["agent"]
    agent.ask_to_end()
    end_s = time.monotonic() + DRAIN_S + 10
    while agent.code is None and time.monotonic() < end_s:
        glance = _last(stage.glance(), glance)
        shown.show(glance)
        time.sleep(LOOK_S / 4)
    if agent.end() != 0:
        agent.check()
    return glance


def _last(now: Glance, before: Glance) -> Glance:
    """Return the newest of everything: the agent no longer answers once it has ended."""
    return now if now.agent else replace(now, agent=before.agent)


def _take_stock(stage: Stage, outcome: Outcome) -> Outcome:
    plan = stage.plan
    where, complaints = plan.places, list(outcome.complaints)
    if complaints and not where.journal.exists():
        return outcome  # the agent did not get that far, which has been said
    try:
        logs = audit(where.journal, where.sink_database, where.public_key("gateway"), where.public_key("sink"))
    except PacksealError as error:
        return replace(outcome, complaints=[*complaints, str(error)])
    complaints += [log.complaint for log in logs if not log.is_whole]
    if not any(log.samples for log in logs):
        complaints.append("not one sample was sealed")
    status = watch.ask_sink(plan.page.port, "/status") or {}
    said, sealed = status.get("tallies", {}).get("verified"), sum(log.sealed for log in logs)
    if said != sealed:
        complaints.append(f"the sink says that it verified {said} of {sealed} records")
    played, taken = outcome.glance.feeder.frames, outcome.glance.frames
    if outcome.stopped_by == "end of the table" and played != taken:
        complaints.append(f"{played} frames were played, the agent has taken {taken}")
    snapshots = report.ask_snapshots(plan.page.port, logs)
    complaints += [f"the sink shows no snapshot of {name}" for name, snapshot in snapshots.items() if not snapshot]
    return replace(outcome, logs=logs, sink=status, snapshots=snapshots, complaints=complaints)


def _write_report(path: Path, content: object) -> None:
    fresh = path.with_name(path.name + ".new")
    try:
        fresh.write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")
        fresh.replace(path)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error


@contextmanager
def _listening() -> Iterator[Stop]:
    """Take SIGINT and SIGTERM as the wish to stop, until left."""
    stop = Stop()
    before = {number: signal.signal(number, stop.ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
