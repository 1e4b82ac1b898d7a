"""Repair: statements in, the text that says where signals lie out, each in the line that it came from."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from packseal_drivers.dbc_doctor import grammar
from packseal_drivers.dbc_doctor.finding import Finding, Refused
from packseal_drivers.dbc_doctor.grammar import MessageHead, Reference, SignalLine
from packseal_drivers.dbc_doctor.statements import Statement

LONG_NAMES = {"BO_": "SystemMessageLongSymbol", "SG_": "SystemSignalLongSymbol"}
_NEEDED = ("BS_", "BU_")
_REFERRING = ("VAL_", "SIG_VALTYPE_", "SG_MUL_VAL_")


@dataclass(slots=True)
class MendedMessage:
    """One message with its signals, as they will be loaded. `line` is where it begins, `more` what comes after them."""

    line: int
    head: MessageHead
    signals: list[tuple[int, SignalLine]] = field(default_factory=list)
    more: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Mended:
    """What will be loaded, and what was found on the way."""

    messages: list[MendedMessage] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def find(self, line: int, what: str) -> None:
        """Note what was repaired."""
        self.findings.append(Finding(line, what))


def mend(statements: Iterable[Statement]) -> Mended:
    """Return what the statements say of signals; raises Refused."""
    statements = list(statements)
    mended = Mended()
    _add_messages(mended, statements)
    _leave_out_repeated(mended)
    by_id: dict[int, list[MendedMessage]] = {}
    for message in mended.messages:
        for number in {message.head.written_id, message.head.id}:
            by_id.setdefault(number, []).append(message)
    for statement in statements:
        _attach(mended, by_id, statement)
    _note_sections(mended, statements)
    return mended


def _add_messages(mended: Mended, statements: Iterable[Statement]) -> None:
    message: MendedMessage | None = None
    for statement in statements:
        if statement.keyword == "BO_":
            head = grammar.message(statement, mended.find)
            message = MendedMessage(statement.line, head)
            mended.messages.append(message)
        elif statement.keyword == "SG_":
            if message is None:
                raise Refused(statement.line, "a signal that belongs to no message: a BO_ line must come before it")
            line = grammar.signal(statement, mended.find)
            if line is not None:
                message.signals.append((statement.line, line))
        else:
            message = None
    if not mended.messages:
        raise Refused(1, "there is no message (BO_) in this file: name a DBC file")
    mended.messages = [m for m in mended.messages if _is_on_a_bus(m, mended)]


def _is_on_a_bus(message: MendedMessage, mended: Mended) -> bool:
    if message.head.is_on_a_bus:
        return True
    if message.signals and not message.head.is_container:
        what = (
            f"message {message.head.name} has the id {message.head.written_id}, which no CAN frame can have; left out"
        )
        mended.find(message.line, what)
    return False


def _leave_out_repeated(mended: Mended) -> None:
    """Leave out a message that is there twice, word for word."""
    seen: dict[tuple[str, ...], int] = {}
    kept: list[MendedMessage] = []
    for message in mended.messages:
        said = (str(message.head), *(signal.text for _, signal in message.signals))
        if said in seen:
            mended.find(message.line, f"message {message.head.name} repeats that of line {seen[said]}; left out")
        else:
            seen[said] = message.line
            kept.append(message)
    mended.messages = kept


def _attach(mended: Mended, by_id: Mapping[int, list[MendedMessage]], statement: Statement) -> None:
    """Add what says more of a signal or message to its message; raises Refused where it may be one of two."""
    reference = _reference(statement)
    if reference is None:
        return
    messages = by_id.get(reference.id, [])
    meant = [m for m in messages if not reference.signal or reference.signal in {s.name for _, s in m.signals}]
    if not meant:
        signal = f"signal {reference.signal} of " if reference.signal else ""
        what = f"{statement.keyword} about {signal}message {reference.id}, which is not there; left out"
        mended.find(statement.line, what)
    elif reference.text and len(messages) > 1:
        names = " and ".join(m.head.name for m in messages)
        raise Refused(statement.line, f"{statement.keyword} may mean any of {names}, which have the same id")
    elif reference.text:
        meant[0].more.append(reference.text.format(id=meant[0].head.id))


def _reference(statement: Statement) -> Reference | None:
    if statement.keyword in _REFERRING:
        return grammar.reference(statement)
    names = LONG_NAMES.items() if statement.keyword == "BA_" else ()
    return next((found for kind, name in names if (found := grammar.long_name(statement, kind, name))), None)


def _note_sections(mended: Mended, statements: Iterable[Statement]) -> None:
    keywords = {s.keyword for s in statements}
    missing = [keyword for keyword in _NEEDED if keyword not in keywords]
    if missing:
        what = f"section {' and '.join(missing)} is missing; not needed to read signals"
        # After NS_ cantools takes everything up to the next colon for names, unless one of the two sections ends it.
        mended.findings.append(Finding(1, what, repaired="NS_" in keywords and len(missing) == len(_NEEDED)))
    for statement in statements:
        if not statement.is_known:
            mended.find(statement.line, f"{statement.keyword} is no section of a DBC file; left out")
