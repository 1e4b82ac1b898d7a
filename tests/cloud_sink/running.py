"""`packseal-sink` as a process of its own, and how one talks to it."""

import http.client
import json
import os
import re
import signal
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from packseal.core import exchange
from packseal.core.cose import PublicKey, public_key_from_pem
from packseal.core.exchange import Receipt, Reply

PROGRAM = (sys.executable, "-c", "import sys; from packseal_sink.cli import main; sys.exit(main())")
ROOT = Path(__file__).parents[2]
PATHS = os.pathsep.join(str(ROOT / room) for room in ("agent", "cloud-sink"))


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run one command of `packseal-sink` to its end."""
    words = [*PROGRAM, *map(str, arguments)]
    return subprocess.run(words, check=False, capture_output=True, text=True, env=_environment(), timeout=30)


class SinkProcess:
    """One sink in `folder`. `start` returns when it listens; its lines are in `said`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "sink.toml"
        made = command("init", folder, "--id", "urn:packseal:sink:test")
        assert made.returncode == 0, made.stderr
        self.edit("port = 8080", "port = 0")
        self.url = ""
        self.said: list[str] = []
        self._process: subprocess.Popen[str] | None = None

    def edit(self, old: str, new: str) -> None:
        text = self.config.read_text()
        assert old in text
        self.config.write_text(text.replace(old, new, 1))

    def enrol(self, pem: bytes, issuer: str) -> None:
        (self.folder / "gateway.pub").write_bytes(pem)
        done = command("gateway", "add", self.folder / "gateway.pub", "--id", issuer, "--config", self.config)
        assert done.returncode == 0, done.stderr

    @property
    def key(self) -> PublicKey:
        return public_key_from_pem((self.folder / "sink.pub").read_bytes())

    def start(self) -> None:
        words = [*PROGRAM, "run", "--config", str(self.config)]
        self._process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=_environment())
        self.wait_for("listening on (.*)")

    def wait_for(self, pattern: str) -> None:
        """Read the sink's lines up to one that fits."""
        assert self._process is not None
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.said.append(line.rstrip())
            found = re.search(pattern, line)
            if found:
                self.url = found.group(1) if found.groups() else self.url
                return
        raise AssertionError(f"the sink ended without saying {pattern!r}: {self.said}")

    def stop(self) -> int:
        """Ask it to stop; return its exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        self.said += [line.rstrip() for line in self._process.stdout or ()]
        return self._close()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._close()

    def _close(self) -> int:
        assert self._process is not None
        code = self._process.wait(20)
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process = None
        return code

    def request(
        self, method: str, target: str, body: bytes | None = None, tls: ssl.SSLContext | None = None, **headers: str
    ) -> tuple[http.client.HTTPResponse, bytes]:
        where = urlsplit(self.url)
        assert where.hostname is not None
        if where.scheme == "https":
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                where.hostname, where.port, timeout=20, context=tls
            )
        else:
            connection = http.client.HTTPConnection(where.hostname, where.port, timeout=20)
        try:
            names = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, target, body, names)
            response = connection.getresponse()
            return response, response.read()
        finally:
            connection.close()

    def get(self, target: str) -> str:
        response, body = self.request("GET", target)
        assert response.status == 200, body
        return body.decode()

    def json(self, target: str) -> Any:
        return json.loads(self.get(target))

    def send(self, raws: list[bytes]) -> Reply:
        response, body = self.request(
            "POST", "/v1/exchange", exchange.encode_batch(raws), content_type="application/cbor"
        )
        assert response.status == 200, body
        return exchange.decode_reply(body)

    def receipts(self, reply: Reply) -> list[Receipt]:
        return [exchange.verify_receipt(raw, self.key) for raw in reply.receipts]


def battery_path(subject: str) -> str:
    return f"/batteries/{quote(subject, safe='')}"


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": PATHS}
