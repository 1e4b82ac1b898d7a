"""Our COSE_Sign1 against others: the COSE working group's published examples, and an independent library."""

import base64
import json
import os
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from packseal.core import cose
from packseal.core.errors import PacksealError
from packseal.keys.file import FileSigner

EXAMPLES = Path(__file__).parents[2] / "../shared/reference/cose-examples"


def load(name: str) -> tuple[bytes, cose.PublicKey, bytes]:
    """One example: its COSE bytes, the key it names and its external data."""
    example = json.loads((EXAMPLES / name).read_text())
    sign0 = example["input"]["sign0"]
    jwk = sign0["key"]

    def number(part: str) -> bytes:
        if f"{part}_hex" in jwk:
            return bytes.fromhex(jwk[f"{part}_hex"])
        return base64.urlsafe_b64decode(jwk[part] + "==")

    if jwk["kty"] == "OKP":
        key = cose.public_key(Ed25519PublicKey.from_public_bytes(number("x")))
    else:
        point = ec.EllipticCurvePublicNumbers(
            int.from_bytes(number("x"), "big"), int.from_bytes(number("y"), "big"), ec.SECP256R1()
        )
        key = cose.public_key(point.public_key())
    return bytes.fromhex(example["output"]["cbor"]), key, bytes.fromhex(sign0.get("external", ""))


NOT_OURS = {"eddsa-sig-02.json": "Ed448"}
"""Curves that no format of ours uses: refused when the key is read."""

UNTAGGED = {"sign-pass-03.json"}


@pytest.mark.skipif(not EXAMPLES.is_dir(), reason="the working group's examples are not beside this checkout")
def test_the_working_groups_examples_verify_or_fail_as_they_should() -> None:
    passed, failed = set(), set()
    names = {p.name for p in EXAMPLES.glob("*.json")} - set(NOT_OURS)
    for name in names:
        raw, key, external = load(name)
        try:
            cose.verify(cose.parse(raw, tagged=name not in UNTAGGED), key, external)
            passed.add(name)
        except PacksealError:
            failed.add(name)
    assert len(names) >= 10
    assert failed == {n for n in names if "fail" in n}
    assert passed == names - failed


PEER = """
import sys
from cwt import COSE, COSEKey
key = COSEKey.from_pem(sys.argv[1].encode(), kid=bytes.fromhex(sys.argv[2]))
print(COSE.new().decode(bytes.fromhex(sys.argv[3]), key).hex())
"""


def test_an_independent_library_verifies_what_we_sign(signer: FileSigner, tmp_path: Path) -> None:
    python = os.environ.get("PACKSEAL_COSE_PEER_PYTHON")
    if python is None:
        pytest.skip("PACKSEAL_COSE_PEER_PYTHON is not set: `make test` makes that environment and sets it")
    raw = cose.Envelope(signer, "urn:a", "urn:b").seal(b"\xa1\x00\x01")
    pem = (tmp_path / "gateway.pub").read_text()
    arguments = [python, "-c", PEER, pem, signer.kid.hex(), raw.hex()]
    result = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert result.stdout.strip() == "a10001", result.stderr
    broken = raw[:-1] + bytes([raw[-1] ^ 1])
    arguments[-1] = broken.hex()
    assert subprocess.run(arguments, capture_output=True, text=True, check=False).returncode != 0
