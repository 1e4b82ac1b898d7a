"""packseal journal repair: a new journal with every record of a damaged one that proves to be sound."""

import argparse
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from packseal.cli import whole_file
from packseal.cli.present import Progress, counted, safe
from packseal.cli.verify import read_keys
from packseal.core import cose
from packseal.core.errors import InputError, StorageError
from packseal.core.passport import Snapshot
from packseal.journal import database, salvage, succession
from packseal.journal.rescue import Hole, Rescue
from packseal.journal.store import Journal
from packseal.journal.succession import Author, Loss

SHOWN = 20


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this action's arguments."""
    parser.add_argument("damaged", type=Path, metavar="DAMAGED", help="the damaged journal; it is not changed")
    parser.add_argument("out", type=Path, metavar="OUT", help="the new journal")
    parser.add_argument("--config", type=Path, metavar="FILE", help="default: packseal.toml here or in /etc/packseal")
    parser.add_argument("--gateway-key", type=Path, metavar="KEY", help="private key, instead of the configuration's")
    parser.add_argument(
        "--key", type=Path, metavar="PUB", action="append", default=[], help="older public key of the gateway"
    )
    parser.add_argument("--sink-key", type=Path, metavar="PUB", help="the sink's public key, to save its receipts")


def execute(args: argparse.Namespace) -> int:
    """Repair; returns 0 when there is a new journal."""
    from packseal.keys import file as key_file  # noqa: PLC0415 - only this action signs

    key_path, sink_path = _key_paths(args)
    signer = key_file.load(key_path)
    keys = {signer.kid: signer.public, **read_keys(args.key)}
    sinks = read_keys([sink_path]) if sink_path else {}
    if args.out.exists():
        raise InputError(f"{args.out} exists: name a new file")
    if not args.damaged.exists():
        raise InputError(f"there is no file {args.damaged}")
    with _not_in_use(args.damaged), _beside(args.out) as folder:
        part = folder / "journal.db"
        told = _repair(args.damaged, part, folder, (keys, sinks), signer)
        try:
            whole_file.publish(part, args.out)
        except OSError as error:
            raise StorageError(f"cannot write {args.out}: {error.strerror}") from error
    print("\n".join(told))
    print(f"{args.out} is the new journal: put it in place of the damaged one, with no -wal file beside it")
    return 0


Keys = Mapping[bytes, cose.PublicKey]


def _repair(damaged: Path, part: Path, folder: Path, keys: tuple[Keys, Keys], signer: cose.Signer) -> list[str]:
    """Fill `part`; return what is to be told."""
    copied = folder / "damaged.db"
    unreadable = salvage.copy(damaged, copied)
    wal, kept_wal = damaged.with_name(damaged.name + "-wal"), folder / "damaged.wal"
    if wal.exists():
        unreadable += salvage.copy(wal, kept_wal)
        salvage.copy(wal, copied.with_name(copied.name + "-wal"))
    rescue = Rescue(part, *keys)
    _fill(rescue, copied, kept_wal)
    if not rescue.logs:
        rescue.close()
        others = ", ".join(kid.hex()[:16] for kid in rescue.strangers)
        hint = f"; it has records of key {others}: name that with --key PUB" if others else ""
        raise InputError(f"{damaged} holds no record that this gateway has signed{hint}")
    states, rescue.beginnings = salvage.states(copied), salvage.beginnings(copied)
    holes = {log_id: rescue.holes(saved) for log_id, saved in rescue.logs.items()}
    rescue.close()
    _go_on(part, rescue, holes, states, signer)
    return _told(rescue, holes, unreadable)


def _fill(rescue: Rescue, copied: Path, wal: Path) -> None:
    size = copied.stat().st_size
    progress = Progress("rows", size)
    done = 0
    for raw in salvage.rows(copied, with_wal=False):
        rescue.offer(raw)
        done += len(raw)
        progress.at(done)
    progress.end()
    progress = Progress("raw pages", size)
    salvage.pages(copied, wal, rescue.offer, progress.at)
    salvage.stretches(copied, salvage.PAGE, rescue.offer)
    salvage.stretches(wal, 1, rescue.offer)
    progress.end()
    # The last, for it changes the copy.
    for raw in salvage.rows(copied, with_wal=True) if wal.exists() else ():
        rescue.offer(raw)
    for raw in salvage.receipts(copied):
        rescue.offer(raw)


def _go_on(
    part: Path,
    rescue: Rescue,
    holes: Mapping[bytes, list[Hole]],
    states: Mapping[bytes, tuple[int, bytes]],
    signer: cose.Signer,
) -> None:
    """Begin a new log for every battery, and for the gateway."""
    from packseal.clock import SystemClock, boot_id  # noqa: PLC0415 - only this action writes records

    at, boot = SystemClock().now(), boot_id()
    with Journal.open(part) as journal:
        losses: dict[str, list[Loss]] = {}
        for log in journal.logs():
            size, state = states.get(log.log_id, (0, None))
            # A state from before the newest records would count what they say a second time.
            current = state if size >= rescue.logs[log.log_id].bytes else None
            losses.setdefault(log.subject, []).append(Loss(log, holes[log.log_id], current))
        for mine in losses.values():
            author = Author(signer, rescue.logs[mine[-1].log.log_id].issuer, boot)
            succession.succeed(journal, mine, author, at, _state_of)
    part.with_name(part.name + ".lock").unlink(missing_ok=True)


def _state_of(snapshot: Snapshot) -> bytes:
    import msgspec  # noqa: PLC0415 - not needed by the other actions

    from packseal.core.meter.recovery import recovered  # noqa: PLC0415 - as above

    return msgspec.msgpack.encode(recovered(snapshot))


def _told(rescue: Rescue, holes: Mapping[bytes, list[Hole]], unreadable: int) -> list[str]:
    lines = [f"{counted(unreadable, 'byte')} of the disk could not be read"] if unreadable else []
    for log_id, saved in rescue.logs.items():
        *inner, tail = holes[log_id]
        lost = sum((hole.last or 0) - hole.first + 1 for hole in inner)
        lines.append(f"log {log_id.hex()[:8]} ({safe(saved.subject)}): {counted(saved.records, 'record')} saved")
        lines += [f"  lost: {hole.first} to {hole.last}" for hole in inner[:SHOWN]]
        lines += [f"  … {len(inner)} such stretches, {lost} records in all"] if len(inner) > SHOWN else []
        lines += [f"  lost: {tail.first} to {tail.last}, which the sink has"] if tail.last is not None else []
    if rescue.strangers:
        lines.append(f"not saved: records of {counted(len(rescue.strangers), 'key')} that is not given (--key PUB)")
    if rescue.doubles:
        lines.append(f"{counted(rescue.doubles, 'record')} with the number of another: the first one is kept")
    lines.append("a new log goes on for each, and says in signed records which came before and what is lost")
    return lines


def _key_paths(args: argparse.Namespace) -> tuple[Path, Path | None]:
    if args.gateway_key is not None:
        return args.gateway_key, args.sink_key
    from packseal import config  # noqa: PLC0415 - `--gateway-key` needs no configuration

    found = config.load(args.config)
    return found.key, args.sink_key or found.sink_key


@contextmanager
def _not_in_use(damaged: Path) -> Iterator[None]:
    """Refuse while an agent writes the damaged file."""
    if not os.access(damaged.parent, os.W_OK):  # a card that is mounted read-only: no agent can write there either
        yield
        return
    side = damaged.with_name(damaged.name + ".lock")
    was_there = side.exists()
    lock = database.Lock(damaged)
    try:
        yield
    finally:
        lock.release()
        if not was_there:
            side.unlink(missing_ok=True)


@contextmanager
def _beside(out: Path) -> Iterator[Path]:
    """Give a folder on the disk of `out` for the copies, and remove it."""
    try:
        with tempfile.TemporaryDirectory(prefix=f".{out.name}.", suffix=".part", dir=out.parent) as folder:
            yield Path(folder)
    except OSError as error:
        raise StorageError(f"cannot write beside {out}: {error.strerror}") from error
