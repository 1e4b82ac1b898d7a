"""View: what the demo shows while it runs and when it is over: a live table, a bar, or plain lines."""

import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from packseal.demo.plan import Plan
from packseal.demo.report import Outcome
from packseal.demo.watch import Glance

LINE_S = 2.0
RATE_S = 2.0
SHOWN = ("pack_voltage_v", "pack_current_a", "state_of_charge_pct", "temperature_max_c", "temperature_c")
LABELS = ("Pack voltage", "Pack current", "State of charge", "Hottest sensor", "Temperature")


class View(Protocol):
    """Shows one glance after the other; `latest` is the last one in which the agent answered."""

    latest: Glance | None

    def show(self, glance: Glance) -> None:
        """Show how everything is now."""


class _Rates:
    """Frames per second over the last two seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def frames_per_s(self, glance: Glance) -> float:
        self._seen.append((glance.at_s, glance.frames))
        while glance.at_s - self._seen[0][0] > RATE_S:
            self._seen.popleft()
        (then_s, then), span_s = self._seen[0], glance.at_s - self._seen[0][0]
        return max(0, glance.frames - then) / span_s if span_s > 0 and then_s else 0.0


class PlainLines:
    """A line every two seconds, for logs and pipes."""

    def __init__(self, plan: Plan, console: Console) -> None:
        self.latest: Glance | None = None
        self._plan = plan
        self._console = console
        self._rates = _Rates()
        self._began_s = self._said_s = 0.0

    def show(self, glance: Glance) -> None:
        """Print a line when it is time for one."""
        rate = self._rates.frames_per_s(glance)
        self._began_s = self._began_s or glance.at_s
        self._said_s = self._said_s or glance.at_s
        if not glance.agent:
            return
        self.latest = glance
        if glance.at_s - self._said_s >= LINE_S:
            self._said_s = glance.at_s
            say(self._console, f"{glance.at_s - self._began_s:6.1f} s  {_line(self._plan, glance, rate)}")


class LiveTable:
    """A table that is drawn over itself, on a terminal."""

    def __init__(self, plan: Plan, live: Live) -> None:
        self.latest: Glance | None = None
        self._plan = plan
        self._live = live
        self._rates = _Rates()
        self._bar = _bar(plan)

    def show(self, glance: Glance) -> None:
        """Draw the table anew."""
        rate = self._rates.frames_per_s(glance)
        if glance.agent:
            self.latest = glance
        if self._bar.tasks:
            self._bar.update(self._bar.task_ids[0], completed=glance.feeder.rows)
        parts: list[RenderableType] = [_facts(self._plan, self.latest or glance, rate)]
        parts += [self._bar] if self._bar.tasks else []
        self._live.update(Panel(Group(*parts), title="packseal demo", subtitle="Ctrl-C ends it"))


class Bar:
    """A progress bar alone, for `--headless` on a terminal."""

    def __init__(self, progress: Progress) -> None:
        self.latest: Glance | None = None
        self._progress = progress

    def show(self, glance: Glance) -> None:
        """Move the bar."""
        self.latest = glance if glance.agent else self.latest
        self._progress.update(self._progress.task_ids[0], completed=glance.feeder.rows)


@contextmanager
def opened(plan: Plan) -> Iterator[View]:
    """Say what is running, and return what fits the output: a terminal, or anything else."""
    console = Console()
    for line in (f"page    {plan.url}", f"bus     {plan.bus_title}", f"uplink  {_uplink_title(plan)}"):
        say(console, line)
    say(console, f"files   {plan.places.directory}")
    if console.is_terminal and not plan.options.headless:
        with Live(console=console, refresh_per_second=8, transient=True) as live:
            yield LiveTable(plan, live)
    elif console.is_terminal and plan.survey is not None:
        with _bar(plan, console) as progress:
            yield Bar(progress)
    else:
        yield PlainLines(plan, console)


def summarise(plan: Plan, outcome: Outcome) -> None:
    """Print what came of it; what went wrong goes to standard error."""
    console = Console()
    table = Table("", "sealed", "received", "verified", "receipted", title=f"after {outcome.wall_s:.1f} s")
    for log in outcome.logs:
        table.add_row(log.subject, *(f"{n:,}" for n in (log.sealed, log.received, log.verified, log.receipted)))
    console.print(table)
    for snapshot in filter(None, outcome.snapshots.values()):
        fields = Table("field", "value", "unit", "originator", "coverage", title=str(snapshot["battery"]))
        for reading in snapshot["readings"]:
            value = f"{reading['value'] or 0:,.{reading['decimals']}f}"
            value = reading["word"] or (value if reading["missing"] is None else reading["missing"].replace("_", " "))
            share = "" if reading["coverage"] is None else f"{reading['coverage']:.1%}"
            fields.add_row(
                reading["title"],
                value,
                "" if reading["unit"] == "1" else reading["unit"],
                reading["originator"] or "",
                share,
            )
        console.print(fields)
    if outcome.is_well:
        say(console, "every record sealed was received, verified and receipted")
    for complaint in outcome.complaints:
        say(Console(file=sys.stderr), f"packseal demo: {complaint}")
    if plan.options.directory is not None or not outcome.is_well:
        say(console, f"kept in {plan.places.directory}")


def say(console: Console, text: str) -> None:
    """Print a line as it is."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def _bar(plan: Plan, console: Console | None = None) -> Progress:
    """Return a bar of the table's rows; without a task when there is no table."""
    progress = Progress(
        TextColumn("rows"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), console=console or Console()
    )
    if plan.survey is not None:
        progress.add_task("rows", total=plan.survey.rows)
    return progress


def _line(plan: Plan, glance: Glance, rate: float) -> str:
    battery, uplink = glance.battery, glance.agent["uplink"]
    rows = ""
    if plan.survey is not None:
        rows = f"{glance.feeder.rows:,} of {plan.survey.rows:,} rows, "
    sealed = glance.agent["journal"]["records"]
    return (
        f"{rows}{glance.frames:,} frames ({rate:,.0f}/s), {battery['samples']:,} samples, "
        f"{battery['windows']:,} windows, {sealed:,} records, {uplink['records_outstanding']:,} not yet receipted"
    )


def _facts(plan: Plan, glance: Glance, rate: float) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_row("page", Text(plan.url, style=f"link {plan.url}"))
    if not glance.agent:
        table.add_row("agent", "starting")
        return table
    battery, uplink, journal = glance.battery, glance.agent["uplink"], glance.agent["journal"]
    link = battery["link"]
    outstanding = uplink["records_outstanding"]
    memory = f"{glance.agent['gateway']['peak_memory_mib']:.0f} MiB at most"
    for name, text in (
        ("bus", f"{link['state'].replace('_', ' ')}, {rate:,.0f} frames/s, {link['frames']:,} frames"),
        ("samples", f"{battery['samples']:,}, {link['flawed']:,} flawed values, {link['unknown']:,} unknown frames"),
        ("windows sealed", f"{battery['windows']:,}, {battery['open_samples']} samples in the open one"),
        ("records synced", f"{max(0, journal['records'] - outstanding):,} of {journal['records']:,}"),
        ("last receipt", uplink["last_receipt"] or "none yet"),
        ("sink", "connected" if uplink["connected"] else uplink["state"]),
        ("agent", f"{glance.agent['gateway']['cpu_s']:.1f} s of CPU, {memory}"),
    ):
        table.add_row(name, text)
    for key, label in zip(SHOWN, LABELS, strict=True):
        if key in battery["present"]:
            now = battery["present"][key]
            table.add_row(label, f"{now['value']:,.2f} {now['unit']}")
    return table


def _uplink_title(plan: Plan) -> str:
    if plan.broker is not None:
        return f"MQTT 5 by mosquitto on port {plan.broker_port}"
    wanted = plan.options.uplink == "http"
    return "HTTP" if wanted else "HTTP: mosquitto is not installed (apt install mosquitto)"
