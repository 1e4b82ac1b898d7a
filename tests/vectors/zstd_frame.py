"""zstd frames of raw and repeated blocks (RFC 8878 §3.1.1), the same with every version of the compressor."""

MAGIC = bytes.fromhex("28b52ffd")
SINGLE_SEGMENT_4 = b"\xa0"  # one segment, four bytes of content size
SIZE_UNKNOWN_16_MIB = b"\x00\x70"  # no content size; window of 2^(10 + 14) bytes
BLOCK = 128 << 10
RAW, REPEATED = 0, 1


def raw(content: bytes) -> bytes:
    """A frame that holds `content` uncompressed."""
    starts = range(0, max(1, len(content)), BLOCK)
    blocks = [content[s : s + BLOCK] for s in starts]
    body = b"".join(_head(RAW, len(b), last=i == len(blocks) - 1) + b for i, b in enumerate(blocks))
    return MAGIC + SINGLE_SEGMENT_4 + len(content).to_bytes(4, "little") + body


def bomb(blocks: int, *, size_told: bool) -> bytes:
    """A frame of four bytes per 128 KiB of zeros; says its size or not."""
    head = SINGLE_SEGMENT_4 + (blocks * BLOCK).to_bytes(4, "little") if size_told else SIZE_UNKNOWN_16_MIB
    return MAGIC + head + b"".join(_head(REPEATED, BLOCK, last=i == blocks - 1) + b"\x00" for i in range(blocks))


def _head(kind: int, size: int, *, last: bool) -> bytes:
    return (last | kind << 1 | size << 3).to_bytes(3, "little")
