"""Checksums of BMS protocols."""

CRC16_MODBUS = 0xA001  # Modbus over Serial Line V1.02 §6.2.2, the polynomial reversed


def crc16_modbus(data: bytes) -> int:
    """Return the CRC of Modbus RTU."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ CRC16_MODBUS if crc & 1 else crc >> 1
    return crc
