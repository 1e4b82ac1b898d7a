"""A connector for thingsboard-gateway, run by it: the same numbered samples into its storage, one record each."""

import socket
import struct
from threading import Thread

from thingsboard_gateway.connectors.connector import Connector
from thingsboard_gateway.gateway.entities.converted_data import ConvertedData
from thingsboard_gateway.gateway.entities.datapoint_key import DatapointKey
from thingsboard_gateway.gateway.entities.telemetry_entry import TelemetryEntry

HEAD = struct.Struct("<QqIBB2x")  # docs/formats/stream.md
FRAME = struct.Struct("<IHh")


class NumberedConnector(Connector, Thread):
    """Reads the stream named in its configuration and hands each sample on as soon as it is read."""

    def __init__(self, gateway, config, connector_type):
        super().__init__(daemon=True)
        self._gateway, self._config, self._type = gateway, config, connector_type
        self._stopped = False
        self.name = config.get("name", "numbered")

    def open(self):
        self._stopped = False
        self.start()

    def run(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
            stream.connect(self._config["path"])
            with stream.makefile("rb") as frames:
                while not self._stopped and (head := frames.read(HEAD.size)):
                    _, wall_ns, _, size, _ = HEAD.unpack(head)
                    self._hand_on(wall_ns // 1_000_000, *FRAME.unpack(frames.read(size)))

    def _hand_on(self, wall_ms, number, voltage, current):
        values = {"n": number, "pack_voltage_v": voltage / 100, "pack_current_a": current / 100}
        data = ConvertedData(device_name="battery", device_type="battery")
        data.add_to_telemetry(TelemetryEntry({DatapointKey(key): value for key, value in values.items()}, wall_ms))
        self._gateway.send_to_storage(self.name, self.get_id(), data)

    def close(self):
        self._stopped = True

    def get_id(self):
        return self._config.get("id", "numbered")

    def get_name(self):
        return self.name

    def get_type(self):
        return self._type

    def get_config(self):
        return self._config

    def is_connected(self):
        return True

    def is_stopped(self):
        return self._stopped

    def on_attributes_update(self, content):
        pass

    def server_side_rpc_handler(self, content):
        pass
