"""The way to the sink: one protocol, MQTT, HTTPS and memory behind it, and the engine that keeps a sink up to date."""
