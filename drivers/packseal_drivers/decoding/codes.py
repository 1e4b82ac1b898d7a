"""What is known of decoders without generating any: what they return, and the version of their text."""

SHORT, UNKNOWN_MULTIPLEXER = 1, 2

GENERATOR = 6
"""Version of the text; part of the cache's key."""

ANSWERS = 1 << 32
"""What the number of a request is added to in the table of decoders: above every CAN id and its flags."""

GROUPS = 1 << 33
"""Likewise, for the number of a [[pgn]] table."""

REGISTERS = 1 << 34
"""The address of a frame that holds all the Modbus registers of one poll."""

MESSAGES = 1 << 35
"""Likewise, for the number of a [[ble.message]] table."""
