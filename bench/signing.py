"""COSE_Sign1 as the pen makes it, against the bare signature of the same payload."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.row import Effort, Gate, Row, compared, interleaved
from packseal.core.cose import Envelope
from packseal.keys.file import FileSigner

PAYLOAD = bytes(range(224))  # a 40-quantity sample in CBOR has about so many bytes
GATE = Gate(1.4, at_least=False)


def measure(effort: Effort) -> list[Row]:
    """Time both over the same payload with the same key."""
    key = Ed25519PrivateKey.generate()
    envelope = Envelope(FileSigner(key), "urn:packseal:gateway:bench", "urn:packseal:battery:bench")
    count = effort.of(2_000, 300)

    def sealed() -> None:
        for _ in range(count):
            envelope.seal(PAYLOAD)

    def signed() -> None:
        for _ in range(count):
            key.sign(PAYLOAD)

    ours, peer = interleaved(sealed, signed, effort.of(15, 5), effort)
    bare, cose, ratio = compared(peer, ours, 1e6 / count)  # the other way round: how many times dearer ours is
    note = f"COSE_Sign1 over {len(PAYLOAD)} bytes against Ed25519 over the same bytes; ratio is ours / peer"
    return [Row(name="sign", unit="µs CPU", ours=cose, peer=bare, ratio=ratio, gate=GATE, note=note)]
