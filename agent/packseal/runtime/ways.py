"""Ways: the links to the sink that the configuration names."""

import logging
from collections.abc import Sequence

from packseal import config_uplink
from packseal.config import Config
from packseal.config_uplink import BYTES_PER_MB, Mqtt
from packseal.core.cose import PublicKey, public_key_from_pem
from packseal.core.errors import InputError
from packseal.uplink.budget import Budget, Cost, Limits
from packseal.uplink.link import Link, Policy
from packseal.uplink.protocol import Uplink
from packseal.uplink.tally import Tally

log = logging.getLogger(__name__)

MQTT_KEEPALIVE_S = 15  # of MqttSettings, which only gateways with a broker import
PING_BYTES = 230
"""Of one sign of life on a held MQTT connection: two packets of TCP, IP and TLS, and their acknowledgements."""


def read_tally(config: Config) -> Tally:
    """Return what the links have carried before; the file is beside the journal."""
    return Tally(config.journal.with_name("uplinks.json"))


def open_links(config: Config, tally: Tally) -> Sequence[Link]:
    """Return the configured links, the preferred one first, not yet connected.

    Raises:
        ConfigError, InputError: an address or a file that cannot be used.
    """
    links = [_link(config, settings, tally) for settings in config.uplinks]
    for link in links:
        for note in link.uplink.notes:
            log.warning("%s: %s", link.name, note)
    return links


def _link(config: Config, settings: config_uplink.Uplink, tally: Tally) -> Link:
    def whole(megabytes: float | None) -> int | None:
        return None if megabytes is None else round(megabytes * BYTES_PER_MB)

    keepalive_s = settings.keepalive or MQTT_KEEPALIVE_S
    return Link(
        settings.title,
        open_uplink(config, settings),
        Policy(settings.order, settings.carries, whole(settings.everything_below_mb)),
        Budget(Limits(settings.bytes_per_s, whole(settings.mb_per_day)), tally.of(settings.title)),
        Cost(idle_per_s=PING_BYTES / keepalive_s) if isinstance(settings, Mqtt) else Cost(),
    )


def open_uplink(config: Config, settings: config_uplink.Uplink) -> Uplink:
    """Return one uplink, not yet connected.

    Raises:
        ConfigError, InputError: an address or a file that cannot be used.
    """
    route = settings.route(config.directory)
    if isinstance(settings, Mqtt):
        from packseal.runtime.broker import broker_of  # noqa: PLC0415 - only gateways that use it pay for it
        from packseal.uplink.mqtt import MqttUplink  # noqa: PLC0415 - likewise

        return MqttUplink(broker_of(config, settings), config.file.gateway.id, route=route)
    from packseal.uplink.https import HttpsUplink  # noqa: PLC0415

    return HttpsUplink(settings.url, config.tls(settings.tls), route=route)


def read_sink_key(config: Config) -> PublicKey | None:
    """Return the only key whose receipts count; raises InputError naming the file."""
    path = config.sink_key
    if path is None:
        return None
    try:
        return public_key_from_pem(path.read_bytes())
    except OSError as error:
        raise InputError(f"cannot read the sink's public key {path}: {error.strerror}") from error
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
