"""Shared: how far our history of a log and the sink's are the same, by the sink's signed word alone.

What is not proven counts as missing at the sink: a forged or lost answer costs records that are sent twice, never one
that is not sent.
"""

from collections.abc import Awaitable, Callable

from packseal.core import exchange
from packseal.core.cose import PublicKey
from packseal.core.errors import FormatError, VerifyError
from packseal.core.exchange import LogEnd, Refusal

Ask = Callable[[bytes], Awaitable[bytes]]
EndAt = Callable[[int], Awaitable[LogEnd | None]]


async def find(ask: Ask, sink_key: PublicKey, end_at: EndAt, proven: int, end: int) -> int:
    """Return the largest number, from `proven` to `end`, up to which the sink proves to hold our records.

    Where records were removed on purpose, the sink may be unable to tell; numbers after those are then asked about.

    Args:
        ask: sends a request and returns the reply; raises UplinkError.
        sink_key: the only key whose receipts count.
        end_at: gives where our log would end with the records before a number, or before the first larger one of which
            we still know that; None where there is none.
        proven: the records before it are known to be there.
        end: the next sequence number of our log.
    """
    while proven < end:
        middle = (proven + end + 1) // 2
        told, number = await _first_told(ask, sink_key, end_at, middle, end)
        if told is None:
            end = middle - 1
        elif told:
            proven = number
        else:
            end = number - 1
    return proven


async def _first_told(ask: Ask, sink_key: PublicKey, end_at: EndAt, start: int, end: int) -> tuple[bool | None, int]:
    """Return what the sink says of the first of some numbers from `start` to `end` of which it can tell; and which."""
    number, step = start, 1
    while number <= end:
        ours = await end_at(number)
        if ours is None or ours.next_sequence > end:
            break
        told = await _holds(ask, sink_key, ours)
        if told is not None:
            return told, ours.next_sequence if told else number
        number, step = ours.next_sequence + step, step * 2
    return None, start


async def _holds(ask: Ask, sink_key: PublicKey, ours: LogEnd) -> bool | None:
    """Whether the sink has these records; None where it does not say."""
    try:
        reply = exchange.decode_reply(await ask(exchange.encode_position([ours])))
        receipts = [exchange.verify_receipt(raw, sink_key) for raw in reply.receipts]
    except (FormatError, VerifyError):
        return None
    if any((r.log_id, r.sequence + 1, r.hash) == (ours.log_id, ours.next_sequence, ours.hash) for r in receipts):
        return True
    forks = any((r.log_id, r.code) == (ours.log_id, Refusal.FORK) for r in reply.refused)
    return False if forks else None
