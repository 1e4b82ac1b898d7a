"""Shared: how far our history of a log and the sink's are the same, by the sink's signed word alone.

What is not proven counts as missing at the sink: a forged or lost answer costs records that are sent twice, never one
that is not sent.
"""

from collections.abc import Awaitable, Callable

from packseal.core import exchange
from packseal.core.cose import PublicKey
from packseal.core.errors import FormatError, VerifyError
from packseal.core.exchange import LogEnd

Ask = Callable[[bytes], Awaitable[bytes]]
EndAt = Callable[[int], Awaitable[LogEnd | None]]


async def find(ask: Ask, sink_key: PublicKey, end_at: EndAt, proven: int, end: int) -> int:
    """Return the largest number, from `proven` to `end`, up to which the sink proves to hold our records.

    Args:
        ask: sends a request and returns the reply; raises UplinkError.
        sink_key: the only key whose receipts count.
        end_at: gives where our log would end with the records before a number; None where we no longer know.
        proven: the records before it are known to be there.
        end: the next sequence number of our log.
    """
    while proven < end:
        middle = (proven + end + 1) // 2
        ours = await end_at(middle)
        if ours is not None and await _holds(ask, sink_key, ours):
            proven = middle
        else:
            end = middle - 1
    return proven


async def _holds(ask: Ask, sink_key: PublicKey, ours: LogEnd) -> bool:
    try:
        reply = exchange.decode_reply(await ask(exchange.encode_position([ours])))
        receipts = [exchange.verify_receipt(raw, sink_key) for raw in reply.receipts]
    except (FormatError, VerifyError):
        return False
    return any((r.log_id, r.sequence + 1, r.hash) == (ours.log_id, ours.next_sequence, ours.hash) for r in receipts)
