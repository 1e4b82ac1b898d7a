"""Crosscheck: mended statements loaded by cantools, and what is legal in them but worth knowing."""

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from packseal_drivers.dbc_doctor.finding import Finding, Refused
from packseal_drivers.dbc_doctor.repair import LONG_NAMES, Mended, MendedMessage

if TYPE_CHECKING:
    from cantools.database.can import Database, Message


@dataclass(slots=True)
class Checked:
    """What was found; see `Examined.ambiguous`."""

    findings: list[Finding] = field(default_factory=list)
    ambiguous: dict[tuple[str, ...], str] = field(default_factory=dict)


def load(mended: Mended) -> "Database":
    """Return the database of all messages; raises Refused with the line of the one that cannot be loaded."""
    try:
        database = _load(mended.messages)
    except Exception as error:  # noqa: BLE001 - a parser of foreign text raises whatever its author did not foresee
        raise _guilty(mended.messages, error) from None
    for message, loaded in zip(mended.messages, database.messages, strict=True):
        if len(message.signals) != len(loaded.signals):
            raise Refused(message.line, f"message {message.head.name} would lose signals")
    return database


def check(database: "Database", mended: Mended) -> Checked:
    """Note overlaps, signals that do not fit, and names that are there twice."""
    checked = Checked()
    for message, loaded in zip(mended.messages, database.messages, strict=True):
        _check_places(checked, message, loaded)
        names = Counter(signal.name for signal in loaded.signals)
        for name, count in names.items():
            if count > 1:
                _ambiguous(
                    checked, message.line, f"message {loaded.name} has {count} signals {name}", loaded.name, name
                )
    lines: dict[str, list[int]] = {}
    for message, loaded in zip(mended.messages, database.messages, strict=True):
        lines.setdefault(loaded.name, []).append(message.line)
    for name, places in lines.items():
        if len(places) > 1:
            what = f"message {name} is also defined in line {places[0]}, otherwise"
            _ambiguous(checked, places[1], what, name)
    return checked


def _ambiguous(checked: Checked, line: int, what: str, *name: str) -> None:
    checked.findings.append(Finding(line, f"{what}; cannot be mapped", repaired=False))
    checked.ambiguous[name] = f"line {line}: {what}"


def _check_places(checked: Checked, message: MendedMessage, loaded: "Message") -> None:
    from cantools.database.errors import Error  # noqa: PLC0415 - see decoding.layout

    try:
        loaded.refresh(strict=True)
    except Error as error:
        line = next((at for at, s in message.signals if f" {s.name} " in f"{error} "), message.line)
        checked.findings.append(
            Finding(line, f"{str(error).rstrip('.')}; each is read by its own bits", repaired=False)
        )
        loaded.refresh(strict=False)


def _load(messages: list[MendedMessage]) -> "Database":
    import cantools.database  # noqa: PLC0415 - see decoding.layout

    # Not strict: signals that overlap are common in public files and no trouble, each is read by its own bits.
    database = cantools.database.load_string(_text(messages), "dbc", strict=False)
    assert isinstance(database, cantools.database.can.Database)  # noqa: S101 - "dbc" was asked for
    return database


def _text(messages: list[MendedMessage]) -> str:
    long_names = [f'BA_DEF_ {kind} "{name}" STRING ;' for kind, name in LONG_NAMES.items()]
    bodies = [line for m in messages for line in (str(m.head), *(f" {signal.text}" for _, signal in m.signals))]
    more = [text for m in messages for text in m.more]
    return "\n".join(("BU_: Vector__XXX", *bodies, *long_names, *more, ""))


def _guilty(messages: list[MendedMessage], error: Exception) -> Refused:
    """Return why the first message that cannot be loaded by itself cannot."""
    for message in messages:
        try:
            _load([message])
        except Exception as own:  # noqa: BLE001 - as in load
            return Refused(message.line, f"message {message.head.name} cannot be read: {_first_line(own)}")
    return Refused(1, f"this file cannot be read: {_first_line(error)}")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
