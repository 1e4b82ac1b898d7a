"""A real broker that asks for a password, and somebody who listens to it."""

import asyncio
import base64
import hashlib
import json
import os
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from tests.agent.uplink.certificates import Certificates
from tests.agent.uplink.servers import free_port, listening

PATIENCE_S = 20
USER, PASSWORD = "packseal", "correct horse"
ROUNDS = 101


@contextmanager
def broker(
    folder: Path,
    *,
    port: int | None = None,
    certificates: Certificates | None = None,
    password: bool = False,
    rules: Sequence[str] = (),
) -> Iterator[int]:
    """Run mosquitto. `rules` are lines of its access list; a port that was used before is a broker started again."""
    program = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        pytest.skip("mosquitto is not installed: apt-get install mosquitto, or make test, which installs it")
    port = port or free_port()
    user = "root" if os.geteuid() == 0 else os.environ.get("USER", "nobody")
    lines = [f"listener {port} 127.0.0.1", f"allow_anonymous {str(not password).lower()}", f"user {user}"]
    lines += ["log_type all"]
    if certificates is not None:
        lines += [f"certfile {certificates.server}", f"keyfile {certificates.server_key}"]
    if password:
        (folder / "passwords").write_text(f"{USER}:{_hashed(PASSWORD)}\n")
        lines.append(f"password_file {folder / 'passwords'}")
    if rules:
        (folder / "rules").write_text("\n".join(rules) + "\n")
        lines.append(f"acl_file {folder / 'rules'}")
    for secret in folder.glob("[pr]*s"):
        secret.chmod(0o600)
    (folder / "mosquitto.conf").write_text("\n".join(lines) + "\n")
    with (folder / "mosquitto.log").open("a") as log:
        process = subprocess.Popen([program, "-c", str(folder / "mosquitto.conf")], stdout=log, stderr=log)
        try:
            yield port
        finally:
            process.terminate()
            process.wait()


def _hashed(password: str) -> str:
    """Return a password as mosquitto keeps it (mosquitto_passwd(1): PBKDF2 with SHA-512)."""
    salt = b"packseal tst"
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ROUNDS)
    return f"$7${ROUNDS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


class Ear:
    """All that was heard, in order: topic, payload, whether it was retained."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self.heard: list[tuple[str, bytes, bool]] = []
        self.client = client
        self._more = asyncio.Event()

    async def listen(self) -> None:
        async for message in self.client.messages:
            assert isinstance(message.payload, bytes)
            self.heard.append((str(message.topic), message.payload, bool(message.retain)))
            self._more.set()

    def payloads(self, end: str) -> list[bytes]:
        """Return what came on topics that end so."""
        return [payload for topic, payload, _ in self.heard if topic.endswith(end)]

    def last(self, end: str) -> Any:
        """Return the newest JSON document on a topic that ends so."""
        return json.loads(self.payloads(end)[-1])

    async def until(self, ready: Callable[["Ear"], Any]) -> None:
        """Wait until `ready` is true of what was heard."""
        async with asyncio.timeout(PATIENCE_S):
            while not ready(self):
                self._more.clear()
                await self._more.wait()


@asynccontextmanager
async def ear(
    port: int, topic: str = "#", *, certificates: Certificates | None = None, password: bool = False
) -> AsyncIterator[Ear]:
    """Listen until left."""
    await listening("127.0.0.1", port)
    tls = None if certificates is None else ssl.create_default_context(cafile=certificates.authority)
    client = aiomqtt.Client(
        "localhost" if tls else "127.0.0.1",
        port,
        protocol=aiomqtt.ProtocolVersion.V5,
        tls_context=tls,
        username=USER if password else None,
        password=PASSWORD if password else None,
    )
    async with client:
        heard = Ear(client)
        await client.subscribe(topic, qos=1)
        task = asyncio.create_task(heard.listen())
        try:
            yield heard
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def until(ready: Callable[[], Any]) -> None:
    """Wait until `ready` is true."""
    async with asyncio.timeout(PATIENCE_S):
        while not ready():  # noqa: ASYNC110 - a status tells nobody
            await asyncio.sleep(0.01)
