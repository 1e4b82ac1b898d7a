"""Who we are to a backend: tokens in files, a token server, a client certificate; and that no secret is told."""

import base64
import logging
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from tests.agent.publish.dpp.passport_server import PassportServer
from tests.agent.publish.dpp.source import MadeUpSource
from tests.agent.publish.dpp.station import go, once, opened, settings
from tests.agent.publish.dpp.web_server import Asked, Told, WebServer
from tests.agent.uplink import certificates

from packseal.core.errors import ConfigError, InputError
from packseal.publish.dpp.publisher import DppPublisher

SECRET = "s3cret-t0ken"


class TokenServer(WebServer):
    """Gives `token` to a client that knows the secret."""

    token = "first"
    in_body = False

    def answer(self, asked: Asked) -> Told:
        form = parse_qs(asked.body.decode())
        basic = "Basic " + base64.b64encode(b"packseal:s3cret-t0ken").decode()
        knows = form.get("client_secret") == [SECRET] if self.in_body else asked.headers.get("authorization") == basic
        if not knows or form["grant_type"] != ["client_credentials"]:
            return Told(401, {"error": "invalid_client"})
        return Told(200, {"access_token": self.token, "token_type": "Bearer", "expires_in": 3600})


@pytest.fixture
def tokens() -> Iterator[TokenServer]:
    with TokenServer() as running:
        yield running


def with_file(folder: Path, secret: str = SECRET) -> str:
    (folder / "secret").write_text(secret + "\n")
    return f'[auth]\nkind = "token"\nfile = "{folder}/secret"'


def with_client(tokens: TokenServer, folder: Path, more: str = "") -> str:
    (folder / "secret").write_text(SECRET)
    names = f'kind = "client-credentials"\ntoken_url = "{tokens.origin}/token"\nclient_id = "packseal"'
    return f'[auth]\n{names}\nsecret_file = "{folder}/secret"\n{more}'


def publish(publisher: DppPublisher) -> None:
    go(lambda: once(publisher))


def test_a_wrong_token_is_tried_once_until_its_file_changes(
    server: PassportServer, source: MadeUpSource, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.token = SECRET
    publisher = opened(tmp_path, settings(server.url, with_file(tmp_path, "wr0ng")), source)
    publish(publisher)
    assert "HTTP 401: who are you?" in publisher.status.state
    publish(publisher)
    assert len(server.asked) == 1
    with_file(tmp_path)
    publish(publisher)
    assert publisher.status.connected
    assert len(server.of("PATCH")) == 1
    assert "wr0ng" not in caplog.text + publisher.status.last_error
    assert SECRET not in caplog.text


def test_a_key_in_a_header_of_its_own(server: PassportServer, source: MadeUpSource, tmp_path: Path) -> None:
    table = settings(server.url, with_file(tmp_path) + '\nheader = "X-API-KEY"\nscheme = ""')
    publish(opened(tmp_path, table, source))
    assert {asked.headers["x-api-key"] for asked in server.asked} == {SECRET}


@pytest.mark.parametrize("content", ["", "two\nlines", "ümlaut", "x" * 20_000], ids=["empty", "lines", "other", "long"])
def test_a_file_that_holds_no_secret_is_named(
    server: PassportServer, source: MadeUpSource, tmp_path: Path, content: str
) -> None:
    publisher = opened(tmp_path, settings(server.url, with_file(tmp_path, content)), source)
    publish(publisher)
    assert "must hold one secret" in publisher.status.state
    assert server.asked == []


@pytest.mark.parametrize("in_body", [False, True], ids=["header", "form"])
def test_a_token_server_gives_the_token_and_a_new_one_when_it_is_refused(
    server: PassportServer, tokens: TokenServer, source: MadeUpSource, tmp_path: Path, *, in_body: bool
) -> None:
    tokens.in_body = in_body
    server.token = "first"
    more = f'scope = "dpp.write"\nin_body = {str(in_body).lower()}'
    publisher = opened(tmp_path, settings(server.url, with_client(tokens, tmp_path, more)), source)
    publish(publisher)
    assert len(server.of("PATCH")) == 1
    assert len(tokens.asked) == 1
    assert b"scope=dpp.write" in tokens.asked[0].body
    server.token = tokens.token = "second"
    source.put(time.time_ns() // 1_000_000 - 30_000, state_of_charge=10.0)
    publish(publisher)
    assert publisher.status.connected
    assert len(tokens.asked) == 2


def test_a_token_that_is_always_refused_is_asked_for_twice_only(
    server: PassportServer, tokens: TokenServer, source: MadeUpSource, tmp_path: Path
) -> None:
    server.token = "never"
    publisher = opened(tmp_path, settings(server.url, with_client(tokens, tmp_path)), source)
    publish(publisher)
    assert "HTTP 401" in publisher.status.state
    assert (len(tokens.asked), len(server.asked)) == (2, 2)


def test_a_client_that_the_token_server_does_not_know(
    server: PassportServer, tokens: TokenServer, source: MadeUpSource, tmp_path: Path
) -> None:
    publisher = opened(tmp_path, settings(server.url, with_client(tokens, tmp_path, "in_body = true")), source)
    publish(publisher)
    assert "does not accept client packseal" in publisher.status.state
    assert server.asked == []


def test_a_client_certificate_where_the_backend_asks_for_one(source: MadeUpSource, tmp_path: Path) -> None:
    made = certificates.make(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=made.authority)
    context.load_cert_chain(made.server, made.server_key)
    context.verify_mode = ssl.CERT_REQUIRED
    trust = f'[tls]\nauthorities = "{made.authority}"\n'
    with PassportServer(context) as server:
        stranger = opened(tmp_path, settings(server.url, trust), source)
        publish(stranger)
        assert not stranger.status.connected
        known = trust + f'certificate = "{made.client}"\nkey = "{made.client_key}"'
        publisher = opened(tmp_path, settings(server.url, known), source)
        publish(publisher)
        assert publisher.status.connected, publisher.status.state
        assert len(server.of("PATCH")) == 1


def test_a_backend_of_another_authority_gets_no_token(source: MadeUpSource, tmp_path: Path) -> None:
    made = certificates.make(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(made.server, made.server_key)
    with PassportServer(context) as server:
        text = with_file(tmp_path) + f'\n[tls]\nauthorities = "{made.stranger}"'
        publisher = opened(tmp_path, settings(server.url, text), source)
        publish(publisher)
        assert not publisher.status.connected
        assert server.asked == []


def test_a_status_address_on_another_server_gets_no_token(
    server: PassportServer, tokens: TokenServer, source: MadeUpSource, tmp_path: Path
) -> None:
    server.script = [Told(202, None, {"Location": f"{tokens.origin}/status"})]
    text = f"accept_s = 1\n{with_file(tmp_path)}"
    publish(opened(tmp_path, settings(server.url, text), source))
    assert tokens.asked == []


def test_doctor_reads_the_passports_and_writes_nothing(
    server: PassportServer, source: MadeUpSource, tmp_path: Path
) -> None:
    assert "has the passport of 1 of 1 batteries" in go(opened(tmp_path, settings(server.url), source).check)
    assert server.of("PATCH") == []
    server.passports.clear()
    with pytest.raises(InputError, match="create it there, or correct its id"):
        go(opened(tmp_path, settings(server.url), source).check)


@pytest.mark.parametrize("url", ["http://dpp.example.org", "https://", "https://me@dpp.example.org", "ftp://x"])
def test_an_address_that_cannot_be_used(source: MadeUpSource, tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError, match="address"):
        opened(tmp_path, settings(url), source)
