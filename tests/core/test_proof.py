"""Proofs of delivery: the vectors, and what is no receipt."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packseal.core import archive, chain, cose, proof, record
from packseal.core.errors import PacksealError, VerifyError
from packseal.core.proof import Delivery
from packseal.core.record import Record

VECTORS = Path(__file__).parents[1] / "vectors"
KEYS = json.loads((VECTORS / "keys.json").read_text())["keys"]
PUBLIC = {name: cose.public_key_from_pem(key["public_pem"].encode()) for name, key in KEYS.items()}
PROOFS = json.loads((VECTORS / "proofs.json").read_text())["vectors"]


def verify(data: bytes, key: cose.PublicKey, sink: cose.PublicKey) -> Delivery:
    """Check a proof as the page says, by core alone."""
    *raws, last = _items(data)
    if not raws or proof.receipt_kid(last) is None:
        raise VerifyError("no record, or no receipt at the end")
    chain.verify_log(raws, lambda _: key)
    first, end = record.parse(raws[0]), record.parse(raws[-1])
    return proof.verify_delivery(last, sink, first, end)


def _items(data: bytes) -> Iterator[bytes]:
    for piece in archive.pieces(data):
        if piece.damaged:
            raise VerifyError("damaged")
        yield piece.raw


@pytest.mark.parametrize("vector", PROOFS, ids=lambda v: f"{v['key']} {v['name']}")
def test_a_vector_is_taken_or_refused(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["proof"])
    if vector["error"]:
        with pytest.raises(VerifyError):
            verify(data, PUBLIC[vector["key"]], PUBLIC[vector["sink_key"]])
        return
    found = verify(data, PUBLIC[vector["key"]], PUBLIC[vector["sink_key"]])
    assert (found.receipt.issuer, found.receipt.wall_ms) == ("urn:packseal:sink:vectors", 1_800_000_060_000)
    assert (found.last.header.sequence, found.receipt.sequence) == (9, 9)


def test_the_vectors_have_both_keys_in_both_parts() -> None:
    sound = {(v["key"], v["sink_key"]) for v in PROOFS if not v["error"]}
    assert sound == {("ed25519", "p256"), ("p256", "ed25519")}
    assert sum(bool(v["error"]) for v in PROOFS) == 20


@given(data=st.data())
def test_no_bit_of_a_proof_can_be_changed(data: st.DataObject) -> None:
    vector = PROOFS[1]
    spoiled = bytearray(bytes.fromhex(vector["proof"]))
    at = data.draw(st.integers(0, 8 * len(spoiled) - 1))
    spoiled[at // 8] ^= 1 << at % 8
    with pytest.raises(PacksealError):
        verify(bytes(spoiled), PUBLIC[vector["key"]], PUBLIC[vector["sink_key"]])


@given(st.binary(max_size=200))
def test_what_is_no_receipt_is_none(data: bytes) -> None:
    assert proof.receipt_kid(data) is None


def test_no_record_is_taken_for_a_receipt() -> None:
    for vector in json.loads((VECTORS / "records.json").read_text())["vectors"]:
        assert proof.receipt_kid(bytes.fromhex(vector["record"])) is None
    for vector in json.loads((VECTORS / "refused.json").read_text())["vectors"]:
        for raw in vector["records"]:
            assert proof.receipt_kid(bytes.fromhex(raw)) in (None, bytes.fromhex(KEYS["ed25519"]["kid"]))


def test_a_receipt_that_names_another_record_says_which() -> None:
    vector = next(v for v in PROOFS if v["name"] == "the receipt is for a later record")
    with pytest.raises(VerifyError, match=r"the receipt names record 10 .* record 9"):
        verify(bytes.fromhex(vector["proof"]), PUBLIC["ed25519"], PUBLIC["p256"])
    assert isinstance(record.parse(next(_items(bytes.fromhex(vector["proof"])))), Record)
