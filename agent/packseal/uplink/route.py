"""Route: which way to a host an uplink takes: through which proxy, by which interface."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from packseal.core.errors import ConfigError

HTTP_PORT = 80
FORM = "must look like http://[user@]host:port or socks5h://[user@]host:port"


@dataclass(frozen=True, slots=True)
class Proxy:
    """Where a proxy is, and as whom it is used."""

    kind: str
    """http or socks5h."""
    host: str
    port: int
    user: str | None = None
    password_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """Which way to take. `keepalive_s`: idle seconds after which the other side is asked for a sign of life.

    None leaves it to the uplink. `portal_port` is where a captive portal is looked for.
    """

    proxy: Proxy | None = None
    interface: str | None = None
    keepalive_s: int | None = None
    portal_port: int = HTTP_PORT


def parse_proxy(address: str, password_file: Path | None = None) -> Proxy:
    """Return the proxy at `address`; raises ConfigError, which never repeats a password."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
        parts = urlsplit("")
    if parts.password is not None:
        raise ConfigError(f"proxy of {host} {FORM}: a password belongs in proxy_password_file")
    if parts.scheme not in ("http", "socks5h") or not host or not port or parts.path.strip("/") or parts.query:
        raise ConfigError(f"proxy {address!r} {FORM}")
    if password_file is not None and not parts.username:
        raise ConfigError(f"proxy {address!r} has no user to whom proxy_password_file would belong: http://user@…")
    return Proxy(parts.scheme, host, port, parts.username or None, password_file)
