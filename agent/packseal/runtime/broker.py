"""Broker: the MQTT broker that a table of the configuration names."""

from packseal.config import Config
from packseal.config_publish import MqttJson
from packseal.config_uplink import Mqtt
from packseal.uplink.mqtt import MqttSettings


def broker_of(config: Config, settings: Mqtt | MqttJson) -> MqttSettings:
    """Return its address and credentials, with paths as they are from here.

    Raises:
        ConfigError, InputError: a file that cannot be used.
    """
    return MqttSettings(
        settings.host,
        settings.port,
        tls=config.tls(settings.tls),
        username=settings.username,
        password_file=config.optional(settings.password_file),
        plain_text=isinstance(settings, Mqtt) and settings.plain_text,
    )
