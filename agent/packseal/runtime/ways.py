"""Ways: the uplink that the configuration names."""

from packseal.config import Config
from packseal.config_uplink import Mqtt
from packseal.core.cose import PublicKey, public_key_from_pem
from packseal.core.errors import InputError
from packseal.uplink.protocol import Uplink


def open_uplink(config: Config) -> Uplink | None:
    """Return the configured uplink, not yet connected; None when there is none.

    Raises:
        ConfigError, InputError: an address or a file that cannot be used.
    """
    if not config.uplinks:
        return None
    settings = config.uplinks[0]
    route = settings.route(config.directory)
    if isinstance(settings, Mqtt):
        from packseal.uplink.mqtt import MqttSettings, MqttUplink  # noqa: PLC0415 - only gateways that use it pay for it

        broker = MqttSettings(
            settings.host,
            settings.port,
            tls=config.tls(settings.tls),
            username=settings.username,
            password_file=config.optional(settings.password_file),
        )
        return MqttUplink(broker, config.file.gateway.id, route=route)
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
