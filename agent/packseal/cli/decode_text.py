"""What `packseal decode` shows of samples and totals: lines for people, plain values for programs."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeVar

from packseal.cli.present import counted
from packseal.cli.record_text import channel_name
from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import NS_PER_S, Flaw, Sample

if TYPE_CHECKING:
    from packseal_drivers.lines import Request
    from packseal_drivers.offline import Totals

T = TypeVar("T")

FORMAT = "packseal-decode/1"
"""Version of the JSON; members may be added within it, but none changes or goes."""

PER_LINE = 12
IDS_SHOWN = 24
EXTENDED = 0x8000_0000  # CAN_EFF_FLAG, linux/can.h

FLAW_WORDS = {
    Flaw.OUT_OF_RANGE: "out of range",
    Flaw.NOT_AVAILABLE: "not available: the BMS says that it does not know",
    Flaw.NOT_A_NUMBER: "not a number",
    Flaw.PLACEHOLDER: "not available: firmware placeholder",
}


def names_of(channels: Sequence[Channel]) -> dict[Channel, str]:
    """Return what the channels of a profile are called: `quantity[index]`, or `quantity` where it has but one of it."""
    return {channel: channel_name(channel, channels) for channel in channels}


def json_sample(sample: Sample, names: Mapping[Channel, str]) -> dict[str, Any]:
    """Return a sample as JSON values: seconds since the first frame, values with their units, flaws by name."""
    return {
        "t_s": sample.at.mono_ns / NS_PER_S,
        "values": {names[c]: {"value": _clean(v), "unit": c.quantity.unit} for c, v in _ordered(sample.values.items())},
        "flaws": {names[c]: flaw.name.lower() for c, flaw in _ordered(sample.flaws.items())},
    }


def json_totals(samples: int, totals: "Totals") -> dict[str, Any]:
    """Return the totals as JSON values."""
    answers = totals.answers
    return {
        "samples": samples,
        "frames": totals.frames,
        "error_frames": totals.errors,
        "unknown": totals.link.unknown,
        "unknown_ids": {_id(i): count for i, count in sorted(totals.unknown_ids.items())},
        "short": totals.link.short,
        "flawed": totals.link.flawed,
        "answers": {
            "whole": answers.whole,
            "decoded": answers.decoded,
            "refused": answers.refused,
            "other": answers.other,
            "broken": answers.broken.total(),
        },
    }


def sample_lines(sample: Sample, *, timed: bool = True) -> list[str]:
    """Return a sample for people: a line a quantity, more where there are many of one, flaws in words."""
    lines = [f"{sample.at.mono_ns / NS_PER_S:.3f} s"] if timed else []
    said: list[tuple[Channel, float | Flaw]] = [*sample.values.items(), *sample.flaws.items()]
    for quantity, group in groupby(_ordered(said), lambda entry: entry[0].quantity):
        entries = list(group)
        if len(entries) == 1 and entries[0][0].index == 0:
            lines.append(f"  {quantity.key:<26} {_shown(quantity, entries[0][1])}")
            continue
        flawed = [(c.index, v) for c, v in entries if isinstance(v, Flaw)]
        good = [(c.index, v) for c, v in entries if not isinstance(v, Flaw)]
        lines += _many(quantity, good)
        lines += [
            f"  {f'{quantity.key}[{_runs(i for i, f in flawed if f is flaw)}]':<26} {FLAW_WORDS[flaw]}"
            for flaw in dict.fromkeys(f for _, f in flawed)
        ]
    return lines


def totals_lines(samples: int, totals: "Totals") -> list[str]:
    """Return the totals for people."""
    link, answers = totals.link, totals.answers
    met = f"{link.unknown} unknown, {link.short} short, {totals.errors} error frames"
    flawed = counted(link.flawed, "flawed value")
    lines = [f"{counted(samples, 'sample')} of {counted(totals.frames, 'frame')}: {met}; {flawed}"]
    if answers.whole or answers.broken.total():
        lines.append(
            f"{counted(answers.whole, 'answer')} put together: {answers.decoded} decoded, {answers.refused} refusals, "
            f"{answers.other} to what this profile does not ask; {answers.broken.total()} broken"
        )
    if totals.unknown_ids:
        most = totals.unknown_ids.most_common(IDS_SHOWN)
        more = len(totals.unknown_ids) - len(most)
        named = ", ".join(f"{_id(i)} ({count})" for i, count in most)
        lines.append(f"ids that this profile does not know: {named}{f', {more} more' if more else ''}")
    return lines


def answer_lines(payload: bytes, requests: Sequence["Request"]) -> list[str]:
    """Return what request an answer belongs to."""
    return [f"{counted(len(payload), 'byte')}, the answer to {r.payload.hex(' ').upper()} ({r.name})" for r in requests]


def _clean(value: float) -> float:
    """Return a value without what binary fractions add: 4.06, where 203 times 0.02 is 4.0600000000000005."""
    return float(f"{value:.12g}")


def _many(quantity: Quantity, entries: Sequence[tuple[int, float]]) -> Iterator[str]:
    for start in range(0, len(entries), PER_LINE):
        part = entries[start : start + PER_LINE]
        shown = " ".join(_number(quantity, value) for _, value in part)
        yield f"  {f'{quantity.key}[{_runs(i for i, _ in part)}]':<26} {shown}{_unit(quantity)}"


def _runs(indexes: Iterable[int]) -> str:
    """Return indexes as `0-11,13`."""
    runs: list[list[int]] = []
    for index in indexes:
        if runs and index == runs[-1][1] + 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def _ordered(entries: Iterable[tuple[Channel, T]]) -> list[tuple[Channel, T]]:
    return sorted(entries, key=lambda entry: (entry[0].quantity.code, entry[0].index))


def _shown(quantity: Quantity, said: float | Flaw) -> str:
    return FLAW_WORDS[said] if isinstance(said, Flaw) else f"{_number(quantity, said)}{_unit(quantity)}"


def _number(quantity: Quantity, value: float) -> str:
    text = f"{value:.{quantity.decimals}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _unit(quantity: Quantity) -> str:
    return "" if quantity.unit == "1" else f" {quantity.unit}"


def _id(address: int) -> str:
    """Return an id as candump shows it: three digits, or eight for one of 29 bits."""
    return f"{address & ~EXTENDED:08X}" if address & EXTENDED else f"{address:03X}"
