"""In the guest: a node on the kernel's own J1939 socket that broadcasts a group.

Arguments: interface, its address, PGN, data.

More than 8 bytes go out as a broadcast announce message (https://docs.kernel.org/networking/j1939.html).
"""

import socket
import sys
import time

interface, address, group, data = sys.argv[1:]
with socket.socket(socket.AF_CAN, socket.SOCK_DGRAM, socket.CAN_J1939) as node:
    node.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    node.bind((interface, socket.J1939_NO_NAME, socket.J1939_NO_PGN, int(address, 16)))
    for _ in range(3):
        node.sendto(bytes.fromhex(data), (interface, socket.J1939_NO_NAME, int(group), socket.J1939_NO_ADDR))
        time.sleep(0.5)
