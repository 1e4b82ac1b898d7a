"""The pages about exchange, receipt and operation say what the code does."""

import re
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.cloud_sink.running import command

from packseal.core import cose, exchange
from packseal.core.exchange import LogEnd, Refusal, Refused, Reply, Whole
from packseal.keys.file import FileSigner
from packseal_sink.web.api import Api

DOCS = Path(__file__).parents[2] / "docs"
LOG, HASH = bytes(range(0xA0, 0xB0)), bytes(range(0x40, 0x60))


def example(page: str, name: str) -> bytes:
    """Return the bytes of a page's example; what follows a # is a remark."""
    text = (DOCS / "formats" / page).read_text()
    block = re.search(rf"```hex {name}\n(.*?)```", text, re.DOTALL)
    assert block is not None
    return bytes.fromhex("".join(line.partition("#")[0] for line in block.group(1).splitlines()))


def test_the_examples_of_the_exchange_are_its_bytes() -> None:
    assert example("exchange.md", "batch") == exchange.encode_batch([b"\x00"])
    assert example("exchange.md", "position") == exchange.encode_position([LogEnd(LOG, 8, HASH)])
    refused = Refused(LOG, Refusal.UNKNOWN_GATEWAY, 0, "not enrolled")
    assert example("exchange.md", "reply") == exchange.encode_reply(Reply((), (refused,)))
    assert example("exchange.md", "early") == exchange.encode_early([b"\x00"], [Whole(LOG, 5, 12)])
    assert example("exchange.md", "held") == exchange.encode_reply(Reply(held={LOG: [(9, 12)]}))


def test_the_example_receipt_is_one() -> None:
    signer = FileSigner(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
    raw = example("receipt.md", "receipt")
    envelope = cose.Envelope(signer, "urn:example:sink:1", "urn:example:battery:1")
    assert raw == exchange.write_receipt(envelope, (LOG, 7, HASH), 1_790_000_001_000)
    receipt = exchange.verify_receipt(raw, signer.public)
    assert (receipt.sequence, receipt.hash, receipt.issuer) == (7, HASH, "urn:example:sink:1")


def test_every_refusal_is_explained() -> None:
    rows = re.findall(r"^\| (\d) \| `(\w+)` \|", (DOCS / "formats/exchange.md").read_text(), re.MULTILINE)
    assert rows == [(str(int(code)), code.name.lower()) for code in Refusal]


def test_every_address_and_command_is_documented() -> None:
    page = (DOCS / "sink.md").read_text()
    for route in Api(None, dict).routes():  # type: ignore[arg-type]  # only asked for its routes
        assert f"`GET {route.path.replace('{id:path}', '{id}')}" in page, route.path
    for words in ("init", "gateway add", "gateway list", "gateway remove", "run"):
        assert re.search(rf"(packseal-sink |`){words}", page), words
        assert command(*words.split(), "--help").returncode == 0
