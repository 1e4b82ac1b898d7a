"""Codes and numbers as the page says them."""

import math
from datetime import datetime
from urllib.parse import quote

MISSING = {
    "no_data": "nothing usable has come yet",
    "not_reported": "this BMS does not report what is needed",
    "not_declared": "the static data that it needs was not entered",
    "flawed": "what came was out of range or marked invalid",
    "placeholder": "the firmware is known to send a constant",
    "no_evidence": "nothing has happened yet that tells it",
    "too_uncertain": "known too poorly to be of use",
}
METHOD = {
    "as_reported": "as reported",
    "trapezoid": "trapezoidal integral",
    "ratio_to_rated": "ratio to the rated value",
    "time_in_state": "time in state",
    "event_count": "count of events",
    "coulomb_counting": "anchored coulomb counting",
    "pulse_10_s": "current steps, 10 s",
    "pulse_1_s": "current steps, within 1 s",
    "power_from_resistance": "from open-circuit voltage and resistance",
    "equal_charge_loop": "loops of equal state of charge",
    "rest_pair": "voltages at both ends of a rest",
    "relative_to_initial": "change against begin of life",
    "entered": "entered",
    "at_status_change": "as at the last status change",
    "rainflow": "rainflow count",
    "reconciled": "BMS counter, followed over resets",
    "compared": "comparison",
    "usable_energy": "capacity times mean discharge voltage",
}
REFUSAL = {
    "bad_format": "malformed",
    "bad_signature": "bad signature",
    "unknown_gateway": "unknown gateway",
    "fork": "fork",
    "broken_chain": "broken chain",
    "ahead": "ahead of the sink",
    "rollback": "rollback",
    "busy": "sink busy",
}
ALARMING = frozenset({"bad_signature", "fork", "broken_chain", "rollback"})
"""Refusals that no fault of a link explains: someone or something changed a log."""

_STEPS = ((60, "s", 1), (3600, "min", 60), (86400, "h", 3600), (math.inf, "d", 86400))


def plain(code: str) -> str:
    """Return a code in lower-case words."""
    return REFUSAL.get(code) or code.replace("_", " ")


def number(value: float, decimals: int, uncertainty: float | None = None) -> str:
    """Return `value` with its decimals, but no more than its uncertainty makes meaningful (two digits of it)."""
    if uncertainty:
        decimals = max(0, min(decimals, 1 - math.floor(math.log10(uncertainty))))
    return f"{value:,.{decimals}f}".replace(",", "\N{NARROW NO-BREAK SPACE}").replace("-", "\N{MINUS SIGN}")


def age(seconds: float) -> str:
    """Return a duration in its largest whole unit."""
    if seconds < 1:
        return "now"
    limit, unit, size = next(step for step in _STEPS if seconds < step[0])
    del limit
    return f"{int(seconds // size)} {unit}"


def clock(text: str) -> str:
    """Return an ISO time as date and time to the second, UTC with Z."""
    return f"{text[:10]} {text[11:19]}Z"


def seconds_since(text: str, now_ms: int) -> float:
    """Return how long ago an ISO time was."""
    return now_ms / 1000 - datetime.fromisoformat(text).timestamp()


def quoted(text: str) -> str:
    """Return `text` as one segment of a URL's path."""
    return quote(text, safe="")
