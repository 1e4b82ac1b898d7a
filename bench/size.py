"""Bytes per sample: a sealed 60 s window against the JSON that a gateway would send of the same samples.

Ours is every record of the window, whole: envelope, signature, hash chain, telemetry and the snapshot of all passport
readings. The peer is one compact JSON object per sample, `{"ts": ms, "values": {name: value}}`, unsigned and without
any reading derived from it.
"""

import json
from collections.abc import Iterable, Sequence

import zstandard
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench import signals
from bench.row import Effort, Gate, Row, spread
from packseal.core.bodies import LifecycleCode
from packseal.core.chain import Head, Pen
from packseal.core.declared import Declared
from packseal.core.meter import Meter
from packseal.core.quantities import Channel
from packseal.core.sample import Sample
from packseal.core.sealer import Sealer
from packseal.keys.file import FileSigner

WINDOW_S = 60
GATE = Gate(30, at_least=True)
DECLARED = Declared(
    rated_capacity_ah=60,
    cells_in_series=96,
    temperature_min_c=-20,
    temperature_max_c=45,
    cell_voltage_min_v=2.8,
    cell_voltage_max_v=4.2,
)


def measure(effort: Effort) -> list[Row]:
    """Seal some hours of samples and count."""
    count = WINDOW_S * effort.of(120, 20)
    rows = [
        _row("size 40 quantities", signals.walked(signals.FORTY, count), GATE),
        _row("size 4 quantities", signals.walked(signals.PACK, count), None),
    ]
    if not signals.DRIVES.exists():
        return [*rows, Row(name="size 60 drives", unit="B", skipped="the recorded drives are not there")]
    drives = list(signals.drives())
    return [*rows, _row("size 60 drives", drives[:count] if effort.quick else drives, None)]


def _row(name: str, samples: Sequence[Sample], gate: Gate | None) -> Row:
    windows = [samples[i : i + WINDOW_S] for i in range(0, len(samples), WINDOW_S)]
    sealed = sealed_sizes(samples, WINDOW_S)
    texts = [[as_json(s).encode() for s in window] for window in windows]
    ours = [size / len(window) for size, window in zip(sealed, windows, strict=True)]
    peer = [sum(map(len, window)) / len(window) for window in texts]
    ratio = spread([theirs / mine for mine, theirs in zip(ours, peer, strict=True)])
    squeezed = spread([len(zstandard.compress(b"\n".join(window))) / len(window) for window in texts]).median
    note = (
        f"all record bytes (telemetry, snapshot, signatures) of {len(windows)} windows of {WINDOW_S} s, per sample, "
        f"against one compact JSON object per sample; zstd over those objects by the window: {squeezed:.1f} B"
    )
    return Row(name=name, unit="B", ours=spread(ours), peer=spread(peer), ratio=ratio, gate=gate, note=note)


def sealed_sizes(samples: Iterable[Sample], window_s: float) -> list[int]:
    """Return the bytes of all records of each window."""
    samples = list(samples)
    sealer = new_sealer(samples[0], window_s)
    sizes = [sum(len(r.raw) for r in sealed.records) for s in samples for sealed in sealer.feed(s)]
    last = sealer.end(LifecycleCode.SOURCE_ENDED, samples[-1].at)
    return [*sizes, sum(len(r.raw) for r in last.records[:-1])]  # without the entry that says that it ended


def new_sealer(first: Sample, window_s: float) -> Sealer:
    """Return a sealer for a battery that says what `first` says."""
    signer = FileSigner(Ed25519PrivateKey.generate())
    pen = Pen(signer, "urn:packseal:gateway:bench", "urn:packseal:battery:bench", bytes(16), bytes(8), Head())
    meter = Meter(DECLARED, frozenset(c.quantity for c in first.values))
    return Sealer(pen, meter, window_s, None)


def as_json(sample: Sample) -> str:
    """Return one sample as JSON without a space more than is needed."""
    values = {_name(channel): value for channel, value in sample.values.items()}
    return json.dumps({"ts": sample.at.wall_ns // 1_000_000, "values": values}, separators=(",", ":"))


def _name(channel: Channel) -> str:
    return f"{channel.quantity.key}_{channel.index}" if channel.index else channel.quantity.key
