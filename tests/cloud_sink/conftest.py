"""A sink on disk, its parts, and a whole one as a process of its own."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.agent.uplink import certificates as authority
from tests.agent.uplink.certificates import Certificates
from tests.cloud_sink.pack import GATEWAY, Pack, hour
from tests.cloud_sink.running import SinkProcess

from packseal.keys.file import FileSigner
from packseal_sink.database import Database
from packseal_sink.ingest import Ingest
from packseal_sink.reader import Reader
from packseal_sink.store import Store

NOW_MS = 1_790_010_000_000
SINK = "urn:packseal:sink:test"


@pytest.fixture(scope="session")
def gateway_key() -> FileSigner:
    return FileSigner(Ed25519PrivateKey.generate())


@pytest.fixture(scope="session")
def sink_key() -> FileSigner:
    return FileSigner(Ed25519PrivateKey.generate())


@pytest.fixture(scope="session")
def records(gateway_key: FileSigner) -> list[bytes]:
    """An eventful hour of one battery: 113 records."""
    return list(hour(Pack(gateway_key)))


@pytest.fixture
def database(tmp_path: Path, gateway_key: FileSigner) -> Iterator[Database]:
    """A database in which the gateway is enrolled."""
    made = Database(tmp_path / "sink.db", write=True)
    Store(made).add_gateway(pem_of(gateway_key), GATEWAY, "bench", NOW_MS)
    yield made
    made.close()


@pytest.fixture
def open_ingest(database: Database, sink_key: FileSigner) -> Callable[[], Ingest]:
    """Make an ingest that knows only what the database says, as after a restart."""
    return lambda: Ingest(Store(database), sink_key, SINK, lambda: NOW_MS)


@pytest.fixture
def ingest(open_ingest: Callable[[], Ingest]) -> Ingest:
    return open_ingest()


@pytest.fixture
def reader(database: Database) -> Iterator[Reader]:
    reading = Database(database.path, write=False)
    yield Reader(reading, lambda: NOW_MS)
    reading.close()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return authority.make(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def running(tmp_path: Path, gateway_key: FileSigner) -> Iterator[SinkProcess]:
    """A sink as `packseal-sink` sets it up, with the gateway enrolled; not started yet."""
    made = SinkProcess(tmp_path / "sink")
    made.enrol(pem_of(gateway_key), GATEWAY)
    yield made
    made.kill()


def pem_of(signer: FileSigner) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: PLC0415

    return signer.public.key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
