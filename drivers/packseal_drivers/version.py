"""Version: of a BMS's own program, as people write it, in an order."""

import re

_VERSION = re.compile(r"v?(\d{1,9}(?:\.\d{1,9}){0,7})(?:[-+ ].*)?")


def parse_version(text: str) -> tuple[int, ...] | None:
    """Return the numbers of a version such as 1.12.0 or v1.12; None where the text is none.

    Numbers are compared one by one, as numbers, and missing ones count as 0: 1.9 is before 1.10, and 1.12 is 1.12.0.
    What follows after - or + or a space is ignored, so 1.12.0-rc1 counts as 1.12.0.
    """
    match = _VERSION.fullmatch(text.strip())
    if match is None:
        return None
    numbers = [int(part) for part in match[1].split(".")]
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)
