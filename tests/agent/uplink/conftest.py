"""Keys, certificates, and every way from a gateway to a sink under one name."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.agent.uplink import certificates as authority
from tests.agent.uplink.certificates import Certificates
from tests.agent.uplink.gateway import GATEWAY
from tests.agent.uplink.proxies import http_proxy
from tests.agent.uplink.servers import HttpSink, broker, mqtt_sink
from tests.agent.uplink.sink import TrialSink

from packseal.keys.file import FileSigner
from packseal.uplink.https import HttpsUplink
from packseal.uplink.memory import Faults, MemoryUplink
from packseal.uplink.mqtt import MqttSettings, MqttUplink
from packseal.uplink.protocol import Uplink
from packseal.uplink.route import Proxy, Route
from packseal.uplink.tls import TlsFiles

REPLY_TIMEOUT_S = 0.5


@dataclass(frozen=True)
class Way:
    """An uplink that leads to a sink, and the faults on it."""

    uplink: Uplink
    faults: Faults


OpenWay = Callable[[TrialSink], AbstractAsyncContextManager[Way]]


@pytest.fixture(scope="session")
def gateway_key() -> FileSigner:
    return FileSigner(Ed25519PrivateKey.generate())


@pytest.fixture(scope="session")
def sink_key() -> FileSigner:
    return FileSigner(ec.generate_private_key(ec.SECP256R1()))


@pytest.fixture
def sink(sink_key: FileSigner, gateway_key: FileSigner) -> TrialSink:
    return TrialSink(sink_key, gateway_key.public)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return authority.make(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def tls(certificates: Certificates) -> TlsFiles:
    return TlsFiles(certificates.authority, certificates.client, certificates.client_key)


@pytest.fixture(params=["memory", "mqtt", "mqtt+tls", "http", "https", "mqtt+tls by proxy"])
def open_way(request: pytest.FixtureRequest, tmp_path: Path, certificates: Certificates, tls: TlsFiles) -> OpenWay:
    """Every implementation of Uplink, connected to a given sink."""
    road, _, proxied = request.param.partition(" by ")
    secured = (certificates, tls) if road in ("mqtt+tls", "https") else (None, None)

    @contextmanager
    def routed() -> Iterator[Route]:
        if not proxied:
            yield Route()
            return
        with http_proxy(tmp_path) as port:  # test_proxy.py has the other pairs of a road and a proxy
            yield Route(Proxy("http", "127.0.0.1", port))

    @asynccontextmanager
    async def memory(sink: TrialSink) -> AsyncIterator[Way]:
        faults = Faults()
        yield Way(MemoryUplink(sink.handle, faults), faults)

    @asynccontextmanager
    async def mqtt(sink: TrialSink) -> AsyncIterator[Way]:
        faults = Faults()
        with routed() as route, broker(tmp_path, secured[0]) as port:
            async with mqtt_sink("localhost", port, secured[0], sink.handle, faults):
                settings = MqttSettings("localhost", port, secured[1], reply_timeout_s=REPLY_TIMEOUT_S)
                yield Way(MqttUplink(settings, GATEWAY, route=route), faults)

    @asynccontextmanager
    async def http(sink: TrialSink) -> AsyncIterator[Way]:
        faults = Faults()
        scheme = "https" if secured[0] else "http"
        async with HttpSink(sink.handle, faults, secured[0]).serving() as port:
            url = f"{scheme}://localhost:{port}"
            yield Way(HttpsUplink(url, secured[1], reply_timeout_s=REPLY_TIMEOUT_S), faults)

    return {"memory": memory, "mqtt": mqtt, "mqtt+tls": mqtt, "http": http, "https": http}[road]
