"""Signs that a gateway's key is used twice, or that its card was restored from a copy: in plain words, by battery."""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from packseal.core.exchange import Refusal
from packseal_sink.views import Sign, utc_text
from packseal_sink.writing import record_row

_REFUSED = f"""
SELECT log.subject, log.log_id, gateway.kid, gateway.id = log.gateway, refusal.code, count(*), min(refusal.sequence),
    max(refusal.at_ms)
FROM refusal JOIN log ON log.id = refusal.log JOIN gateway ON gateway.id = refusal.gateway
WHERE refusal.code IN ({int(Refusal.FORK)}, {int(Refusal.ROLLBACK)}) AND (:subject IS NULL OR log.subject = :subject)
GROUP BY log.id, gateway.id, refusal.code
"""  # noqa: S608 - made of our own codes

# Boots follow each other. A log that continues another one holds records that were copied from it with their boot, so
# it shows nothing here.
_BOOTS = """
SELECT log.subject, log.log_id, gateway.kid, found.boot_id, min(found.first), log.last_received_ms
FROM (
    SELECT log, boot_id, first, max(last) OVER (
        PARTITION BY log ORDER BY first ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS reached FROM boot WHERE log IN (SELECT id FROM log WHERE :subject IS NULL OR subject = :subject)
) AS found
JOIN log ON log.id = found.log JOIN gateway ON gateway.id = log.gateway
WHERE found.reached > found.first AND log.previous_log IS NULL
GROUP BY log.id
"""
_TWINS = """
SELECT a.subject, a.log_id, gateway.kid, a.id, b.id, b.log_id, a.last_received_ms, a.last_wall_ms
FROM log AS a JOIN log AS b ON b.subject = a.subject AND b.gateway = a.gateway AND b.id > a.id
JOIN gateway ON gateway.id = a.gateway
WHERE :subject IS NULL OR a.subject = :subject
"""
_FIRST = "SELECT received_ms, wall_ms FROM record WHERE id BETWEEN ? AND ? ORDER BY id LIMIT 1"


def signs(connection: sqlite3.Connection, subject: str | None = None) -> Mapping[str, Sequence[Sign]]:
    """Return what there is, by battery, the newest first; of one battery or of all."""
    found: dict[str, list[tuple[int, Sign]]] = defaultdict(list)
    for search in (_refused, _boots, _twins):
        for battery, at_ms, kid, code, text in search(connection, subject):
            found[battery].append((at_ms, Sign(code=code, kid=kid.hex(), at=utc_text(at_ms), text=text)))
    return {
        battery: [sign for _, sign in sorted(entries, key=lambda entry: -entry[0])]
        for battery, entries in found.items()
    }


_Found = Iterable[tuple[str, int, bytes, str, str]]
"""Battery, UTC milliseconds, kid, code, text."""


def _refused(connection: sqlite3.Connection, subject: str | None) -> _Found:
    for row in connection.execute(_REFUSED, {"subject": subject}):
        battery, log_id, kid, is_own, code, count, first, at_ms = row
        name = Refusal(code).name.lower() if is_own else "foreign"
        text = _TEXTS[name].format(log=_short(log_id), n=first)
        yield battery, at_ms, kid, name, f"{text} (refused {count} times)" if count > 1 else text


_TEXTS = {
    "fork": "two histories of log {log} were sent, from record {n} on: the key is in two devices, or a card was"
    " restored from a copy",
    "rollback": "the gateway's log {log} once ended before record {n}, which is stored here already: its card was"
    " restored from an older copy",
    "foreign": "records that this key signed name log {log}, which belongs to another key: its card was copied to this"
    " gateway",
}


def _boots(connection: sqlite3.Connection, subject: str | None) -> _Found:
    for battery, log_id, kid, boot, first, at_ms in connection.execute(_BOOTS, {"subject": subject}):
        text = (
            f"record {first} of log {_short(log_id)} was written in boot {boot.hex()[:8]}, among records of another"
            " boot: two devices write this log"
        )
        yield battery, at_ms, kid, "two_boots", text


def _twins(connection: sqlite3.Connection, subject: str | None) -> _Found:
    """Two logs of one battery and key: the elder must not grow, by either clock, once the younger has begun."""
    for row in connection.execute(_TWINS, {"subject": subject}).fetchall():
        battery, log_id, kid, _, younger, other, received_ms, wall_ms = row
        place = (record_row(younger, 0), record_row(younger + 1, 0) - 1)
        first = connection.execute(_FIRST, place).fetchone()
        if first is not None and received_ms > first[0] and wall_ms > first[1]:
            text = (
                f"log {_short(log_id)} went on after log {_short(other)} of the same battery and key had begun:"
                " two devices use this key"
            )
            yield battery, received_ms, kid, "two_logs", text


def _short(log_id: bytes) -> str:
    return f"{log_id.hex()[:12]}…"
