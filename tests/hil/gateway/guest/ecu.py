"""In the guest: a control unit on the kernel's own ISO-TP socket. Arguments: interface, its two ids, answer.

https://docs.kernel.org/networking/iso15765-2.html
"""

import socket
import sys

interface, receives, sends, answer = sys.argv[1:]
with socket.socket(socket.AF_CAN, socket.SOCK_DGRAM, socket.CAN_ISOTP) as unit:
    unit.bind((interface, int(receives, 16), int(sends, 16)))
    print("open", flush=True)  # noqa: T201 - what the test waits for
    while True:
        request = unit.recv(4095)
        print(f"asked {request.hex()}", flush=True)  # noqa: T201
        if request == b"\x22" + bytes.fromhex(answer)[1 : len(request)]:
            unit.send(bytes.fromhex(answer))
