"""UdsFace: what a battery answers when it is asked, from the [[request]] lines of a profile.

UDS and OBD over ISO-TP, and the objects of a CANopen node.
"""

from collections.abc import Iterator, Mapping

from packseal.core.quantities import Channel
from packseal_drivers import profile as profiles
from packseal_drivers.allowlist import can_address, is_functional
from packseal_drivers.decoding import answer
from packseal_drivers.decoding.codes import ANSWERS, GROUPS
from packseal_drivers.decoding.layout import MessageLayout
from packseal_drivers.identify import Content
from packseal_drivers.lines import Request
from packseal_drivers.profile import ProfileFile
from packseal_hil.faces.canopen import ObjectServer
from packseal_hil.faces.conduct import Conduct
from packseal_hil.faces.ecu import AskedEcu
from packseal_hil.faces.patterns import FieldWriter, assemble
from packseal_hil.rig.protocols import CanFrame

EFF_FLAG = 0x8000_0000  # linux/can.h
PHYSICAL_OFFSET = 8
"""ISO 15765-4 §10.2: the control unit that answers at 0x7E8 is spoken to at 0x7E0, and so on."""


class UdsFace:
    """Answers the requests of the profile `name`; a pure state machine in seconds of any clock that does not run back.

    A request of which the battery knows nothing is declined; within an answer, what it does not know is "not
    available".

    Args:
        name: VENDOR/MODEL, or a path that ends in .toml.
        conduct: how it behaves; may be changed at any time.

    Raises:
        ConfigError: there is no such profile, or its lines do not fit.
    """

    def __init__(self, name: str, conduct: Conduct | None = None) -> None:
        file = profiles.load(name)
        self.profile = file.profile
        self.conduct = conduct or Conduct()
        self._values: Mapping[Channel, float] = {}
        self._ecus: dict[int, AskedEcu | ObjectServer] = {}
        self._heard_by: dict[int, list[int]] = {}
        self._open(file)

    @property
    def addresses(self) -> frozenset[int]:
        """The addresses at which it can be asked."""
        return frozenset(self._heard_by)

    @property
    def asked(self) -> list[bytes]:
        """Every request that was heard, control unit by control unit."""
        return [request for ecu in self._ecus.values() for request in ecu.asked]

    def says(self, values: Mapping[Channel, float]) -> None:
        """Take what the battery says from now on; answers are made when they are asked for."""
        self._values = values

    def hear(self, frame: CanFrame, at_s: float) -> list[CanFrame]:
        """Account for a frame on the bus; return the frames that are due."""
        for address in self._heard_by.get(frame.address, ()):
            functional = is_functional(frame.address)
            self._ecus[address].hear(frame.data, at_s, functional=functional)
        return self.tick(at_s)

    def tick(self, at_s: float) -> list[CanFrame]:
        """Return the frames that are due."""
        return [CanFrame(address, data) for address, ecu in self._ecus.items() for data in ecu.due(at_s)]

    def _open(self, file: ProfileFile) -> None:
        layouts = {m.address - ANSWERS: m for m in answer.read(file) if m.address < GROUPS}
        lines: dict[int, list[tuple[Request, _Answer]]] = {}
        for number, request in enumerate(file.profile.request):
            made = _Answer(self, request, layouts[number], _contents(file, request))
            lines.setdefault(can_address(request.answer), []).append((request, made))
        for address, own in lines.items():
            answers = {request.payload: made for request, made in own}
            of_objects = own[0][0].protocol == "sdo"
            self._ecus[address] = (ObjectServer if of_objects else AskedEcu)(answers, self.conduct)
            for to in {to for request, _ in own for to in _asked_at(request)}:
                self._heard_by.setdefault(to, []).append(address)

    @property
    def values(self) -> Mapping[Channel, float]:
        """What the battery says now."""
        return self._values


class _Answer:
    """Makes the whole positive answer to one request."""

    def __init__(self, face: UdsFace, request: Request, layout: MessageLayout, contents: list[Content]) -> None:
        channels = face.profile.channels
        self._face = face
        self._fields = [(channels[field.slot], FieldWriter.of(field)) for field in layout.group.fields]
        self._length = max(layout.length, len(request.expected))
        self._fixed = request.expected
        for content in contents:
            held = bytes.fromhex(content.hex)
            if held.startswith(request.expected):
                self._fixed = held

    def __call__(self) -> bytes | None:
        values = self._face.values
        if self._fields and not any(channel in values for channel, _ in self._fields):
            return None
        said = assemble(self._length, ((w.field.bits, w.pattern(values.get(channel))) for channel, w in self._fields))
        fixed = int.from_bytes(self._fixed.ljust(self._length, b"\0")[: self._length], "big")
        return (int.from_bytes(said, "big") | fixed).to_bytes(self._length, "big")


def _contents(file: ProfileFile, request: Request) -> list[Content]:
    """Return the bytes by which the profile knows the battery in this control unit's answers."""
    identify = file.profile.identify
    return [c for c in (identify.content if identify else ()) if c.id == can_address(request.answer)]


def _asked_at(request: Request) -> Iterator[int]:
    """Yield the addresses at which the control unit listens: that of the request, and its own where all are asked."""
    to, at = can_address(request.to), can_address(request.answer)
    yield to
    if not is_functional(to):
        return
    if at & EFF_FLAG:  # normal fixed addressing: target and source change places, and the format is physical
        yield at & 0xFF00_0000 | 0x00DA_0000 | (at & 0xFF) << 8 | at >> 8 & 0xFF
    else:
        yield at - PHYSICAL_OFFSET
