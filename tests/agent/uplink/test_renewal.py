"""Certificates are renewed under a running uplink; a half-written set is never used."""

import asyncio
import ssl
import time
from pathlib import Path

import pytest
from cryptography import x509
from tests.agent.uplink.certificates import Certificates, issue
from tests.agent.uplink.gateway import GATEWAY
from tests.agent.uplink.servers import HttpSink, broker, mqtt_sink

from packseal.core.errors import FormatError, InputError
from packseal.uplink.credentials import DAY_S, Credentials
from packseal.uplink.expiry import expiry
from packseal.uplink.https import HttpsUplink
from packseal.uplink.memory import Faults
from packseal.uplink.mqtt import MqttSettings, MqttUplink
from packseal.uplink.tls import TlsFiles

pytestmark = pytest.mark.timeout(60)
LIMIT_S = 20


@pytest.fixture
def own(tmp_path: Path, certificates: Certificates) -> TlsFiles:
    """A certificate of the first gateway, which may be replaced."""
    made = TlsFiles(certificates.authority, tmp_path / "own.pem", tmp_path / "own.key")
    put(made, *issue(certificates, "first", days=90))
    return made


def put(files: TlsFiles, certificate: bytes | None, key: bytes | None) -> None:
    for path, content in ((files.certificate, certificate), (files.key, key)):
        assert path is not None
        if content is not None:
            path.write_bytes(content)


def test_https_uses_a_renewed_certificate_for_the_next_request(own: TlsFiles, certificates: Certificates) -> None:
    async def scenario() -> None:
        sink = HttpSink(lambda request: request, Faults(), certificates)
        async with (
            asyncio.timeout(LIMIT_S),
            sink.serving() as port,
            HttpsUplink(f"https://localhost:{port}", own) as uplink,
        ):
            for _ in range(2):
                assert await uplink.exchange(b"a") == b"a"
            certificate, key = issue(certificates, "second", days=90)
            put(own, certificate, None)
            assert await uplink.exchange(b"b") == b"b"
            assert "the old one stays" in uplink.notes[0]
            assert len(sink.peers) == 1, "the kept connection goes on meanwhile"
            put(own, None, key)
            assert await uplink.exchange(b"c") == b"c"
            assert uplink.notes == []
        assert [name in peer for name, peer in zip(("first", "second"), sink.peers, strict=True)] == [True, True]

    asyncio.run(scenario())


def test_mqtt_connects_anew_after_a_renewal_and_loses_nothing(
    own: TlsFiles, certificates: Certificates, tmp_path: Path
) -> None:
    async def scenario(port: int) -> None:
        settings = MqttSettings("localhost", port, own, refresh_s=0.1)
        async with (
            asyncio.timeout(LIMIT_S),
            mqtt_sink("localhost", port, certificates, lambda request: request, Faults()),
            MqttUplink(settings, GATEWAY) as uplink,
        ):
            assert await uplink.exchange(b"a") == b"a"
            put(own, *issue(certificates, "second", days=90))
            await asyncio.sleep(0.2)
            asked = [bytes([number]) for number in range(20)]
            assert await asyncio.gather(*map(uplink.exchange, asked)) == asked
            assert uplink.notes == []

    with broker(tmp_path, certificates, extra=("use_subject_as_username true",)) as port:
        asyncio.run(scenario(port))
    said = (tmp_path / "mosquitto.log").read_text()
    assert said.index("u'CN=first'") < said.index("u'CN=second'")
    assert said.count("u'CN=second'") == 1


@pytest.mark.parametrize("broken", ["certificate", "key", "authorities"])
def test_what_is_half_written_or_gone_is_not_used(broken: str, own: TlsFiles, tmp_path: Path) -> None:
    authorities = tmp_path / "authorities.pem"
    assert own.authorities is not None
    authorities.write_bytes(own.authorities.read_bytes())
    files = TlsFiles(authorities, own.certificate, own.key)
    credentials = Credentials(files)
    before = credentials.context()
    path = getattr(files, broken)
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"", None):
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content)
        assert credentials.context() is before
        assert str(path) in credentials.notes()[0]
    path.write_bytes(whole)
    assert credentials.context() is not before
    assert (credentials.notes(), credentials.generation) == ([], 1)


def test_a_certificate_that_expires_is_told_in_time(own: TlsFiles) -> None:
    now = time.time()
    credentials = Credentials(own)
    assert credentials.notes(now) == []
    assert credentials.notes(now + 59 * DAY_S) == []
    assert "expires in 30 days, on " in credentials.notes(now + 60 * DAY_S)[0]
    assert credentials.notes(now + 82 * DAY_S)[0].endswith(": renew it")
    assert credentials.notes(now + 83.1 * DAY_S)[0].endswith(": renew it NOW")
    assert "has expired on " in credentials.notes(now + 91 * DAY_S)[0]
    left = credentials.days_left(now)
    assert left is not None
    assert 89.9 < left < 90.1


def test_what_cannot_be_used_to_begin_with_is_refused(own: TlsFiles) -> None:
    put(own, b"nothing", None)
    with pytest.raises(InputError, match=r"own\.pem"):
        Credentials(own)


@pytest.mark.parametrize("days", [1, 20_000], ids=["in the 2020s", "after 2050"])
def test_a_certificates_end_is_what_a_whole_reader_says(certificates: Certificates, days: int) -> None:
    pem, key = issue(certificates, "any", days=days)
    whole = x509.load_pem_x509_certificate(pem).not_valid_after_utc.timestamp()
    assert expiry((key + pem + certificates.authority.read_bytes()).decode()) == whole


@pytest.mark.parametrize("size", [0, 40, 300])
def test_a_certificate_that_is_cut_off_has_no_end(certificates: Certificates, size: int) -> None:
    with pytest.raises(FormatError):
        expiry(certificates.server.read_text()[:size])
    der = ssl.PEM_cert_to_DER_cert(certificates.server.read_text())[: size // 4]
    with pytest.raises(FormatError):
        expiry(ssl.DER_cert_to_PEM_cert(der))
