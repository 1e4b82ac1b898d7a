"""What a gateway sends that signs each sample by itself: one COSE_Sign1 of a CBOR map of scaled integers per sample."""

from collections.abc import Iterator

from bench import signals
from packseal.core import cbor, cose
from packseal.core.quantities import Channel
from packseal.core.sample import Sample

GATEWAY_ID, SUBJECT = "urn:packseal:gateway:bench", "urn:packseal:battery:bench"


def messages(signer: cose.Signer, count: int) -> Iterator[bytes]:
    """Yield them, of the reference pack's four quantities."""
    envelope = cose.Envelope(signer, GATEWAY_ID, SUBJECT)
    for sequence, sample in enumerate(signals.walked(signals.PACK, count)):
        yield envelope.seal(cbor.encode(_content(sequence, sample)))


def _content(sequence: int, sample: Sample) -> dict[int, object]:
    values = {_number(c): round(value * 10**c.quantity.decimals) for c, value in sample.values.items()}
    return {1: sequence, 2: sample.at.wall_ns // 1_000_000, 3: values}


def _number(channel: Channel) -> int:
    return channel.quantity.code << 8 | channel.index
