"""What packseal probe prints, for people and for programs."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from packseal.cli.present import counted, safe, table

if TYPE_CHECKING:
    from packseal.cli.probe import Findings
    from packseal_drivers.probing.fit import Fit
    from packseal_drivers.probing.traffic import Seen

NEAR = 4
"""So many near misses are enough to see what is missing."""
ROWS = 200
"""More unknown ids are no table that anyone reads; --json has them all."""


def lines(findings: "Findings") -> Iterator[str]:
    """Yield the report."""
    traffic = findings.traffic
    errors = f", {counted(traffic.error_frames, 'error frame')}" if traffic.error_frames else ""
    ids = counted(len(traffic.ids), "id")
    yield f"{findings.where}: {counted(traffic.frames, 'frame')} of {ids} in {traffic.span_s:.1f} s{errors}"
    yield from (f"note: {safe(text)}" for text in findings.troubles)
    fitting = [fit for fit in findings.fits if fit.fits]
    near = [fit for fit in findings.fits if not fit.fits][:NEAR]
    yield ""
    yield from _fitting(fitting)
    if near:
        yield "near misses:"
        for fit in near:
            yield f"  {fit.file.profile.name}: {'; '.join(fit.against)}"
    yield from _ids(findings)


def _fitting(fits: "list[Fit]") -> Iterator[str]:
    if not fits:
        yield "no profile fits"
        return
    for fit, word in zip(fits, ("fits:", *["fits, too:"] * len(fits)), strict=False):
        profile = fit.file.profile
        yield f"{word} {profile.name} ({profile.title}; checked: {profile.checked})"
        yield from (f"  {reason}" for reason in fit.reasons)


def _ids(findings: "Findings") -> Iterator[str]:
    ids, traffic = findings.unknown, findings.traffic
    if not ids:
        return
    yield ""
    yield "all ids:" if findings.everything else "ids that no profile knows:"
    head = ("id", "frames", "per s", "bytes", "changing bytes", "known to")
    rows = [_row(findings, address, traffic.ids[address]) for address in ids[:ROWS]]
    columns = len(head) if any(row[-1] for row in rows) else len(head) - 1
    yield from table(head[:columns], (row[:columns] for row in rows), right=(1, 2, 3))
    left_out = len(ids) - ROWS
    if left_out > 0:
        yield f"… and {left_out} more; --json has them all"


def _row(findings: "Findings", address: int, seen: "Seen") -> list[str]:
    rate = "" if seen.rate_hz is None else f"{seen.rate_hz:.1f}"
    changing = _ranges(seen.changing) or "none"
    known = ", ".join(findings.known.get(address, ()))
    return [_shown(address), str(seen.frames), rate, _ranges(seen.lengths), changing, known]


def _shown(address: int) -> str:
    from packseal_drivers.probing.fit import shown  # noqa: PLC0415 - lazy, as every command is

    return shown(address)


def _ranges(numbers: Iterable[int]) -> str:
    """Return `0-3 6` of 0, 1, 2, 3 and 6."""
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return " ".join(f"{part[0]}-{part[-1]}" if len(part) > 1 else str(part[0]) for part in parts)


def as_json(findings: "Findings") -> dict[str, Any]:
    """Return everything for json.dumps; the report's order is kept."""
    traffic = findings.traffic
    fitting = [fit for fit in findings.fits if fit.fits]
    return {
        "where": findings.where,
        "seconds": round(traffic.span_s, 6),
        "frames": traffic.frames,
        "error_frames": traffic.error_frames,
        "noise": traffic.is_noise,
        "notes": list(findings.troubles),
        "best": fitting[0].file.profile.name if fitting else None,
        "fits": [_fit(fit) for fit in fitting],
        "near": [_fit(fit) for fit in findings.fits if not fit.fits],
        "ids": [_seen(address, seen, findings.known.get(address, [])) for address, seen in sorted(traffic.ids.items())],
    }


def _fit(fit: "Fit") -> dict[str, Any]:
    profile = fit.file.profile
    return {
        "profile": profile.name,
        "title": profile.title,
        "checked": profile.checked,
        "share": round(fit.share, 3),
        "reasons": list(fit.reasons),
        "against": list(fit.against),
    }


def _seen(address: int, seen: "Seen", known: list[str]) -> dict[str, Any]:
    rate_hz = seen.rate_hz
    return {
        "id": _shown(address),
        "frames": seen.frames,
        "rate_hz": None if rate_hz is None else round(rate_hz, 3),
        "lengths": sorted(seen.lengths),
        "changing_bytes": sorted(seen.changing),
        "known_to": known,
    }
