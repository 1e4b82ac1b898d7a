"""The pages: rendered on the server, complete without JavaScript, which only fetches them again while they are open."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from packseal import __version__
from packseal.core.errors import InputError
from packseal.core.passport import Field
from packseal_sink.reader import Reader
from packseal_sink.views import Notable, ReadingView, SnapshotView
from packseal_sink.web import words
from packseal_sink.web.chart import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Chart, bar_plot, line_chart

CHART_POINTS = 240  # two values for each of 120 stretches: about the pixels of a small chart
SPANS = {"hour": 3600, "day": 86400, "week": 604800, "all": 0}
DEFAULT_SPAN = "day"
MS_PER_S = 1000
REMOVED = ("thinned", "dropped")
"""Gaps that name records, not a time in which nothing was recorded: snapshots between them stay."""


@dataclass(frozen=True, slots=True)
class FieldChart:
    """A chart with what stands around it."""

    field: Field
    latest: str
    chart: Chart
    stored: int


class Pages:
    """Routes of the pages.

    Args:
        reader: answers.
        status: makes what every page's head shows.
        now_ms: returns the UTC time in milliseconds.
    """

    def __init__(self, reader: Reader, status: Callable[[], object], now_ms: Callable[[], int]) -> None:
        self._reader = reader
        self._status = status
        self._now_ms = now_ms
        self._templates = _environment()

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [Route("/", self._front), Route("/battery/{id:path}", self._battery)]

    def _front(self, request: Request) -> Response:
        return self._answer(
            request,
            "front.html",
            lambda: {"batteries": self._reader.batteries(), "gateways": self._reader.gateways()},
        )

    def _battery(self, request: Request) -> Response:
        subject = request.path_params["id"]
        span = request.query_params.get("span", DEFAULT_SPAN)
        if span not in SPANS:
            raise HTTPException(400, f"span must be one of {', '.join(SPANS)}")
        return self._answer(request, "battery.html", lambda: self._battery_content(subject, span))

    def _battery_content(self, subject: str, span: str) -> dict[str, object]:
        battery = self._reader.battery(subject)
        notable = self._reader.notable(subject)
        snapshot = self._reader.snapshot(subject) if battery.snapshot is not None else None
        return {
            "battery": battery,
            "snapshot": snapshot,
            "groups": _groups(() if snapshot is None else snapshot.readings),
            "absent": _absent(() if snapshot is None else snapshot.readings),
            "cells": bar_plot(snapshot.cells_v, "V", 3) if snapshot is not None and snapshot.cells_v else None,
            "charts": list(self._charts(subject, snapshot, notable, SPANS[span] * MS_PER_S or None)),
            "notable": notable,
            "holes": self._reader.holes(subject),
            "refusals": self._reader.refusals(subject),
            "span": span,
            "spans": SPANS,
        }

    def _charts(
        self, subject: str, snapshot: SnapshotView | None, notable: Iterable[Notable], span_ms: int | None
    ) -> Iterable[FieldChart]:
        gaps = [
            (_ms(n.from_time), _ms(n.to_time)) for n in notable if n.from_time and n.to_time and n.code not in REMOVED
        ]
        for reading in () if snapshot is None else snapshot.readings:
            field = Field[reading.field.upper()]
            if reading.word is not None:
                continue  # a code has no curve
            history = self._reader.history(subject, field, CHART_POINTS, span_ms)
            if history.points:
                points = [(p.wall_ms, p.value) for p in history.points]
                latest = f"{words.number(points[-1][1], field.decimals)} {'' if field.unit == '1' else field.unit}"
                yield FieldChart(field, latest, line_chart(points, gaps), history.stored)

    def _answer(self, request: Request, template: str, content: Callable[[], dict[str, object]]) -> Response:
        """Render, unless the client's copy is of the same state: ages grow in the browser, so they do not count."""
        status = self._status()
        state = f"{self._reader.version()} {status} {request.url.query} {__version__}"
        tag = f'"{hashlib.sha256(state.encode()).hexdigest()[:32]}"'
        headers = {"ETag": tag, "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        try:
            body = self._templates.get_template(template).render(status=status, now_ms=self._now_ms(), **content())
        except InputError as error:
            body = self._templates.get_template("error.html").render(status=status, now_ms=self._now_ms(), error=error)
            return HTMLResponse(body, 404)
        return HTMLResponse(body, headers=headers)


def _groups(readings: Sequence[ReadingView]) -> list[tuple[str, list[ReadingView]]]:
    """Return the page's tables: what the passport asks for, and what is beside it."""
    there = [r for r in readings if r.missing is None]
    return [
        ("Passport fields", [r for r in there if r.in_passport]),
        ("Beside the passport", [r for r in there if not r.in_passport]),
    ]


def _absent(readings: Sequence[ReadingView]) -> list[tuple[str, list[ReadingView]]]:
    """Return what is not available, by the reason; most are so for one or two."""
    by_reason: dict[str, list[ReadingView]] = {}
    for reading in readings:
        if reading.missing is not None:
            by_reason.setdefault(reading.missing, []).append(reading)
    return sorted(by_reason.items(), key=lambda item: -len(item[1]))


def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "plain": words.plain,
        "number": words.number,
        "age": words.age,
        "clock": words.clock,
        "quoted": words.quoted,
    }
    made.globals |= {
        "missing": words.MISSING,
        "method": words.METHOD,
        "alarming": words.ALARMING,
        "seconds_since": words.seconds_since,
        "frame": {"width": WIDTH, "height": HEIGHT, "left": LEFT, "right": RIGHT, "top": TOP, "bottom": BOTTOM},
    }
    return made


def _ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * MS_PER_S)
