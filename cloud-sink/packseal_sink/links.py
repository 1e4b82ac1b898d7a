"""How the records of one request are chained to each other and to those that are stored or held."""

from collections.abc import Callable

from packseal.core.holes import hole_of
from packseal.core.record import Record
from packseal_sink.ledger import Archive, Link

LinkOf = Callable[[int], Link | None]


class Links:
    """Links of stored records, and of those that a draft adds. Every look-up may raise StorageError.

    Args:
        archive: the stored records.
    """

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._known: dict[tuple[bytes, int], Link] = {}

    def put(self, log_id: bytes, sequence: int, link: Link) -> None:
        """Know a record that is added."""
        self._known[log_id, sequence] = link

    def forget(self, log_id: bytes, first: int, end: int) -> None:
        """Know nothing any more of the records from `first` to before `end`, which are given up."""
        for place in [place for place in self._known if place[0] == log_id and first <= place[1] < end]:
            del self._known[place]

    def hash_at(self, log_id: bytes, sequence: int) -> bytes | None:
        """Return the hash of a record, None where it is neither stored nor added."""
        link = self._known.get((log_id, sequence))
        return self._archive.hash_at(log_id, sequence) if link is None else link.hash

    def early(self, log_id: bytes, sequence: int, more: int) -> Link | None:
        """Return how a record held early is chained; `more` from it on are looked up at once."""
        if (log_id, sequence) not in self._known:
            found = self._archive.early_links(log_id, sequence, more)
            self._known.update({(log_id, number): link for number, link in found.items()})
        return self._known.get((log_id, sequence))

    def stored(self, log_id: bytes, sequence: int, end: int) -> Link | None:
        """Return how a record of the log, which ends before `end`, or one that is added is chained."""
        link = self._known.get((log_id, sequence))
        return self._archive.link_at(log_id, sequence) if link is None and 0 <= sequence < end else link


def first_misfit(entry: Record, link_of: LinkOf) -> int | None:
    """Return the first number at which what `link_of` knows contradicts `entry`: the one before, its own, the next."""
    sequence = entry.header.sequence
    before, same, after = (link_of(number) for number in (sequence - 1, sequence, sequence + 1))
    if before is not None and before.hash != entry.header.previous:
        return sequence - 1
    if same is not None and same.hash != entry.hash:
        return sequence
    return sequence + 1 if after is not None and after.previous != entry.hash else None


def is_named(entry: Record, number: int) -> bool:
    """Whether `entry` is a gap record that names `number` as removed."""
    hole = hole_of(entry)
    return hole is not None and hole[0] <= number <= hole[1]
