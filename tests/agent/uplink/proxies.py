"""Real proxies: tinyproxy for HTTP, microsocks for SOCKS 5."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.agent.uplink.servers import free_port

USER, PASSWORD = "gateway", "open sesame"
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin"


@contextmanager
def http_proxy(folder: Path, *lines: str) -> Iterator[int]:
    """Run tinyproxy with further lines of configuration; yields its port."""
    port = free_port()
    settings = [f"Port {port}", "Listen 127.0.0.1", "Timeout 60", f'LogFile "{folder}/tinyproxy.log"', *lines]
    (folder / "tinyproxy.conf").write_text("\n".join(settings) + "\n")
    with _running(port, "tinyproxy", "tinyproxy-bin", "-d", "-c", str(folder / "tinyproxy.conf")):
        yield port


@contextmanager
def socks_proxy(*options: str) -> Iterator[int]:
    """Run microsocks with further options; yields its port."""
    port = free_port()
    with _running(port, "microsocks", "microsocks", "-i", "127.0.0.1", "-p", str(port), *options):
        yield port


@contextmanager
def _running(port: int, name: str, package: str, *arguments: str) -> Iterator[None]:
    program = shutil.which(name, path=_PATH)
    if program is None:
        pytest.skip(f"{name} is not installed: apt-get install {package}, or make test, which installs it")
    process = subprocess.Popen([program, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _await_port(port)
        yield
    finally:
        process.terminate()
        process.wait()


def _await_port(port: int) -> None:
    give_up = time.monotonic() + 10
    while time.monotonic() < give_up:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError(f"nothing listens on port {port}")
