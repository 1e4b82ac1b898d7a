"""Asking for declared data on a terminal, one value after the other, each checked as it is typed."""

from typing import Any

from packseal.cli.declared_text import LABELS, needed_by, typed
from packseal.core.declared import Declared
from packseal.core.errors import InputError

UNASKED = ("accidents", "current_uncertainty", "voltage_uncertainty")
"""Accidents come with --accident, the uncertainties with --set: few know better than their defaults."""
REMOVE = "-"
EXPLANATION = "Enter keeps what stands in [ ], - removes it, Ctrl-C leaves everything as it was."


def ask(entered: Declared, fixed: Declared) -> dict[str, Any]:
    """Return what was typed, by name, None for what is to be removed.

    Args:
        entered: what the registry says so far.
        fixed: what the configuration says; it is shown and not asked for.

    Raises:
        InputError: the input ended, or the answer was not to write it.
    """
    print(EXPLANATION)
    said: dict[str, Any] = {}
    for name in LABELS:
        standing = getattr(fixed, name)
        if name in UNASKED or (name == "status" and entered.status is not None):
            continue
        if standing != getattr(Declared(), name):
            print(f"{LABELS[name][0]}: {standing}, from the configuration")
        else:
            answer = _ask_one(name, getattr(entered, name))
            said |= {} if answer == "" else {name: None if answer == REMOVE else typed(name, answer)}
    if said and _input("write this? [Y/n] ").strip().lower() not in ("", "y", "yes"):
        raise InputError("nothing was written")
    return said


def _ask_one(name: str, now: object) -> str:
    label, unit = LABELS[name]
    needs = needed_by(name)
    if needs:
        print(f"  for {needs}")
    while True:
        answer = _input(f"{label} ({unit}) [{'' if now is None else now}]: ").strip()
        if answer in ("", REMOVE):
            return answer
        try:
            typed(name, answer)
        except ValueError as error:
            print(f"  {error}")
        else:
            return answer


def _input(prompt: str) -> str:
    try:
        return input(prompt)
    except EOFError:
        print()
        raise InputError("the input ended; nothing was written") from None
    except KeyboardInterrupt:
        print("\nnothing was written")
        raise
