"""Control units to be asked: can-isotp carries what they say, udsoncan takes requests apart and makes answers."""

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

import can
import isotp
from udsoncan.Request import Request
from udsoncan.Response import Response
from udsoncan.services.ReadDataByIdentifier import ReadDataByIdentifier

from packseal_drivers.profile import ProfileFile, load

TO, ANSWER = 0x7E4, 0x7EC
OTHER_TO, OTHER_ANSWER = 0x18DA_DBF1, 0x18DA_F1DB

DBC = """VERSION ""

BU_: BMS

BO_ 1008 Pack: 8 BMS
 SG_ Voltage : 0|32@1- (0.0001,0) [0|0] "V" BMS
 SG_ Current : 32|32@1- (0.0001,0) [0|0] "A" BMS
"""

HEAD = 'name = "test/asked"\ntitle = "Asked"\nsource = "made up"\n'
SIGNAL = '[[signal]]\nmessage = "Pack"\nsignal = "Voltage"\nquantity = "pack_voltage_v"\n'
CELLS = """[[request]]
name = "cells"
protocol = "uds"
to = 0x7E4
answer = 0x7EC
ask = "22 01 02"
period_s = 0.1
[[request.field]]
quantity = "cell_voltage_v"
at = 3
count = 64
factor = 0.02
"""
CURRENT = """[[request]]
name = "current"
protocol = "uds"
to = 0x7E4
answer = 0x7EC
ask = "22 01 01"
period_s = 0.1
[[request.field]]
quantity = "pack_current_a"
at = 3
length = 2
signed = true
factor = -0.1
"""
TEMPERATURE = """[[request]]
name = "temperature"
protocol = "uds"
to = 0x18DADBF1
answer = 0x18DAF1DB
ask = "22 91 C8"
period_s = 0.1
[[request.field]]
quantity = "temperature_c"
at = 3
offset = -40
"""
CHARGE = """[[request]]
name = "charge"
protocol = "obd"
to = 0x7DF
answer = 0x7EC
ask = "01 5B"
period_s = 0.1
[[request.field]]
quantity = "state_of_charge_pct"
at = 2
factor = 0.392156862745098
"""

CELL_BYTES = bytes(range(170, 234))


def write(directory: Path, *tables: str, silent_after_s: float = 5) -> ProfileFile:
    (directory / "asked.dbc").write_text(DBC)
    dbc = 'dbc = "asked.dbc"\n' if SIGNAL in tables else ""
    sampling = f"[sampling]\nperiod_s = 0\nsilent_after_s = {silent_after_s}\n"
    (directory / "asked.toml").write_text(HEAD + dbc + sampling + "\n".join(tables))
    return load("asked.toml", directory)


Answer = bytes | int | Callable[[], bytes | int | None] | None
"""Data of a positive answer, a negative response code, what makes one of them, or nothing at all."""


class SimulatedEcu:
    """Answers on a bus of its own, in a thread of its own, until it is closed.

    Args:
        bus: its access to the bus; closed with it.
        answers: by what follows the service byte.
        to: id it is asked at.
        answer: id it answers with.
        functional: further id it hears.
        pending: how many times it asks for patience, 60 ms apart, before it answers.
        tx_data_length: above 8 it speaks CAN FD.
    """

    def __init__(
        self,
        bus: can.BusABC,
        answers: Mapping[bytes, Answer],
        to: int = TO,
        answer: int = ANSWER,
        functional: int | None = None,
        pending: int = 0,
        tx_data_length: int = 8,
    ) -> None:
        mode = isotp.AddressingMode.Normal_29bits if to > 0x7FF else isotp.AddressingMode.Normal_11bits
        params = {"tx_padding": 0xAA, "tx_data_length": tx_data_length, "can_fd": tx_data_length > 8}
        self.answers = dict(answers)
        self.asked: list[bytes] = []
        self._pending = pending
        self._bus = bus
        self._stack = isotp.CanStack(bus, address=isotp.Address(mode, rxid=to, txid=answer), params=params)
        self._functional = functional
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        if self._functional is not None:
            self._hear_functional(self._functional)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._bus.shutdown()

    def _hear_functional(self, functional: int) -> None:
        receive = self._bus.recv

        def renamed(timeout: float | None = None) -> can.Message | None:
            message = receive(timeout)
            if message is not None and message.arbitration_id == functional:
                message.arbitration_id = TO
            return message

        self._bus.recv = renamed  # type: ignore[method-assign]  # can-isotp hears one id only

    def _run(self) -> None:
        while not self._stop.is_set():
            self._stack.process(rx_timeout=0.002)
            payload = self._stack.recv()
            if payload is not None:
                self._answer(bytes(payload))

    def _answer(self, payload: bytes) -> None:
        self.asked.append(payload)
        answer = self.answers.get(payload[1:], 0x31)
        answer = answer() if callable(answer) else answer
        if answer is None:
            return
        for _ in range(self._pending):
            self._send(payload, 0x78)
            time.sleep(0.06)  # longer than P2, so that without its promise it would be too late
        self._send(payload, answer)

    def _send(self, payload: bytes, answer: bytes | int) -> None:
        request = Request.from_payload(payload)
        if isinstance(answer, int):
            raw = bytes((0x7F, payload[0], answer))
        elif request.service is ReadDataByIdentifier:
            code = Response.Code.PositiveResponse
            raw = Response(request.service, code, data=payload[1:3] + answer).get_payload()
        else:  # OBD, which udsoncan does not know
            raw = bytes((payload[0] + 0x40, payload[1])) + answer
        self._stack.send(raw)
        while self._stack.transmitting() and not self._stop.is_set():
            self._stack.process(rx_timeout=0.002)
