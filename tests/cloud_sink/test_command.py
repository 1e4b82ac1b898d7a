"""The `packseal-sink` command: what it makes, and one clear line for whatever is wrong."""

import re
from pathlib import Path

import pytest
from tests.cloud_sink.conftest import pem_of
from tests.cloud_sink.pack import GATEWAY
from tests.cloud_sink.running import SinkProcess, command

from packseal.keys.file import FileSigner
from packseal_sink import settings

GOOD = '[sink]\nid = "urn:example:sink"\n'


def test_init_makes_a_configuration_and_a_private_key_and_never_overwrites(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "sink"
    assert command("init", folder, "--id", "urn:example:sink").returncode == 0
    assert settings.load(folder / "sink.toml").settings.sink.id == "urn:example:sink"
    assert (folder / "sink.key").stat().st_mode & 0o777 == 0o600
    key = (folder / "sink.key").read_bytes()
    again = command("init", folder)
    assert (again.returncode, again.stderr) == (
        1,
        f"packseal-sink: {folder / 'sink.toml'} exists already: remove it first, or use it\n",
    )
    assert (folder / "sink.key").read_bytes() == key


def test_a_sink_without_a_name_gets_its_own(tmp_path: Path) -> None:
    names = set()
    for number in range(2):
        command("init", tmp_path / str(number))
        names.add(settings.load(tmp_path / str(number) / "sink.toml").settings.sink.id)
    assert len(names) == 2
    assert all(name.startswith("urn:uuid:") for name in names)


def test_gateways_are_listed_and_enrolled_once(running: SinkProcess, gateway_key: FileSigner) -> None:
    listed = command("gateway", "list", "--config", running.config).stdout
    assert re.fullmatch(rf"{gateway_key.kid.hex()}  20\S+Z  {GATEWAY}\n", listed)
    (running.folder / "again.pub").write_bytes(pem_of(gateway_key))
    again = command("gateway", "add", running.folder / "again.pub", "--id", GATEWAY, "--config", running.config)
    assert (again.returncode, "is enrolled already" in again.stderr) == (1, True)
    removed = command("gateway", "remove", gateway_key.kid.hex()[:10], "--config", running.config)
    assert removed.stdout == f"removed {GATEWAY} with key {gateway_key.kid.hex()}\n"
    assert "  removed 20" in command("gateway", "list", "--config", running.config).stdout
    twice = command("gateway", "remove", gateway_key.kid.hex()[:10], "--config", running.config)
    assert (twice.returncode, "0 enrolled gateway keys begin with" in twice.stderr) == (1, True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "sink.toml, line 1: .*missing required field `sink`"),
        ('[sink]\nid = "no uri"\n', "sink.toml, line .*must be a URI, such as"),
        (GOOD + 'colour = "red"\n', "sink.toml, line 3: sink: .*unknown field `colour`; allowed are id, key, database"),
        (GOOD + "[http]\nport = 99999\n", "sink.toml, line 4: http.port: .*<= 65535"),
        (
            GOOD + '[http]\nhost = "::1"\nkey = "k"\n',
            "sink.toml, line 3: http: certificate and key must be given together",
        ),
        (GOOD + '[mqtt]\nhost = "far"\npassword_file = "p"\n', "sink.toml, line 3: mqtt: .*plain text: add .mqtt.tls."),
        (GOOD + "[http\n", "sink.toml: not TOML: "),
        (GOOD, "cannot read key .*sink.key: No such file"),
    ],
)
def test_a_wrong_configuration_is_told_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "sink.toml").write_text(text)
    done = command("run", "--config", tmp_path / "sink.toml")
    assert done.returncode == 1
    assert re.fullmatch(f"packseal-sink: .*{said}.*\n", done.stderr), done.stderr


def test_what_is_missing_or_taken_is_told_in_one_line(running: SinkProcess, tmp_path: Path) -> None:
    none = tmp_path / "none.toml"
    done = command("run", "--config", none)
    assert done.stderr == (
        f"packseal-sink: cannot read {none}: No such file or directory; packseal-sink init makes one\n"
    )
    running.start()
    second = command("run", "--config", running.config)
    assert second.stderr == (f"packseal-sink: another sink runs on {running.folder / 'sink.db'}: stop it first\n")
    other = SinkProcess(tmp_path / "other")
    port = running.url.rstrip("/").rsplit(":", 1)[1]
    other.edit("port = 0", f"port = {port}")
    taken = command("run", "--config", other.config)
    assert f"cannot listen on 127.0.0.1 port {port}: Address already in use" in taken.stderr
    (tmp_path / "not.pub").write_text("hello")
    wrong = command("gateway", "add", tmp_path / "not.pub", "--id", GATEWAY, "--config", running.config)
    assert (wrong.returncode, "not a PEM public key" in wrong.stderr) == (1, True)


def test_a_file_that_is_no_sinks_database_is_left_alone(running: SinkProcess) -> None:
    (running.folder / "sink.db").write_bytes(b"something else, longer than the header of a database, " * 10)
    done = command("run", "--config", running.config)
    assert (done.returncode, done.stderr) == (1, "packseal-sink: the sink's database file is not a database\n")
