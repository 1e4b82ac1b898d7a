"""Probing: what a Modbus unit is, by its identification, its SunSpec models, and the registers of each profile."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from packseal.core.quantities import Quantity
from packseal.core.sample import ClockQuality, Flaw, Instant, LinkCounts, Sample
from packseal_drivers.modbus.bus import ModbusBus, Outcome
from packseal_drivers.modbus.guard import ModbusGuard, PermittedRead
from packseal_drivers.modbus.plan import Read
from packseal_drivers.modbus.poll import GATEWAY, Poll
from packseal_drivers.modbus.registers import Decoding, Image, RegisterMap, decoders, fixed_map
from packseal_drivers.modbus.sunspec import HEADER_WORDS, HOLDING, Chain, counts_of, locate, walk
from packseal_drivers.profile import Profile
from packseal_drivers.sampler import Sampler

PAUSE_S = 0.1
"""Between two requests: at most ten a second."""
GIVE_UP = 3
"""Of many units, one that leaves so many requests in a row unanswered is not there."""
COMMON_WORDS = 66
"""SunSpec model 1: maker, model, options, version, serial number; its last registers say nothing of the device."""
_COMMON = {"maker": (0, 16), "model": (16, 32), "version": (40, 48), "serial": (48, 64)}
OBJECTS = {0: "maker", 1: "product", 2: "version", 3: "address", 4: "name", 5: "model", 6: "application"}
"""MODBUS Application Protocol V1.1b3, §6.21."""
SUM_SHARE = 0.05
"""So far from the pack's voltage, of it, the sum of its cells may be."""
LEAST_CELL_V, GREATEST_CELL_V = 1.0, 5.0
"""Beyond what any lithium or sodium cell has in use, from LTO empty to NMC full."""


class UnitSilentError(Exception):
    """A unit answers nothing."""


@dataclass(frozen=True, slots=True)
class Fit:
    """One profile held against a unit. `share` is how many of its values were there and possible, from 0 to 1."""

    profile: Profile
    share: float
    reasons: tuple[str, ...]
    against: tuple[str, ...]
    values: int = 0
    """How many of its values were there and possible: few of them can be so by chance."""

    @property
    def fits(self) -> bool:
        """Whether it can be this battery."""
        return self.share > 0 and not self.against


@dataclass(slots=True)
class Unit:
    """What was found at one unit id."""

    number: int
    said: dict[str, str] = field(default_factory=dict)
    """Its identification, by function 43 and by SunSpec model 1."""
    chain: Chain = field(default_factory=Chain)
    fits: list[Fit] = field(default_factory=list)


class Prober:
    """Asks units one after the other.

    Args:
        bus: the connection; the caller joins and leaves it.
        profiles: those with registers or points.
        timeout_s: per request.
        patient: never give a unit up; for a single one.
    """

    def __init__(self, bus: ModbusBus, profiles: Sequence[Profile], timeout_s: float, *, patient: bool) -> None:
        self._bus = bus
        self._profiles = profiles
        self._timeout_s = timeout_s
        self._patient = patient
        self._missed = 0
        self._answered = False
        self.counts = LinkCounts()

    async def unit(self, number: int) -> Unit | None:
        """Return what a unit is; None where it answers nothing. Raises LinkError."""
        self._missed, self._answered = 0, False
        self._guard = ModbusGuard((number,), serial=self._bus.settings.is_rtu, counts=self.counts)
        found = Unit(number)
        try:
            objects = (await self._ask(self._guard.permit_device_id(number))).objects
            found.said = {OBJECTS.get(n, f"object {n}"): _text(content) for n, content in objects.items()}
            found.chain = await self._chain()
            if found.chain.base is not None:
                found.said |= await self._common(found.chain)
            for profile in self._profiles:
                if not profile.point or found.chain.models:
                    found.fits.append(await self._judge(profile, found.chain))
        except UnitSilentError:
            return None
        found.fits.sort(key=lambda fit: (not fit.fits, -fit.share, -fit.values, fit.profile.name))
        return found if self._answered else None

    async def _chain(self) -> Chain:
        steps = walk()
        try:
            read = next(steps)
            while True:
                read = steps.send(await self._words(read))
        except StopIteration as end:
            chain: Chain = end.value
            return chain

    async def _common(self, chain: Chain) -> dict[str, str]:
        model = next((m for m in chain.models if m.number == 1 and m.holds(HEADER_WORDS, COMMON_WORDS)), None)
        words = await self._words(Read(HOLDING, model.address + HEADER_WORDS, COMMON_WORDS)) if model else None
        if words is None:
            return {}
        texts = {key: _text(b"".join(w.to_bytes(2, "big") for w in words[a:b])) for key, (a, b) in _COMMON.items()}
        return {key: text for key, text in texts.items() if text}

    async def _judge(self, profile: Profile, chain: Chain) -> Fit:
        if profile.point and all(model.number != profile.point[0].model for model in chain.models):
            return Fit(profile, 0.0, (), (f"model {profile.point[0].model} is not there",))
        found = await self._map(profile, chain)
        if profile.register and (number := _standing_on(found, chain)) is not None:
            return Fit(profile, 0.0, (), (f"its registers are those of SunSpec model {number}",))
        poll = Poll(found.places, profile.modbus, 0)
        image, declined, total = Image(), 0, len(poll.reads)
        for read in poll.reads:
            words = await self._words(read)
            declined += words is None
            if words is not None:
                image.take(read, words)
        sample = _sample(profile, found, image)
        return _fit(profile, sample, declined, total)

    async def _map(self, profile: Profile, chain: Chain) -> RegisterMap:
        if profile.register:
            return fixed_map(profile)
        said = {}
        for read in counts_of(profile.point, chain):
            words = await self._words(read)
            if words is not None:
                said[read.address] = words[0]
        return locate(profile.point, chain, said).map

    async def _words(self, read: Read) -> Sequence[int] | None:
        outcome = await self._ask(self._guard.permit_read(_unit_of(self._guard), *read))
        return outcome.words

    async def _ask(self, permitted: PermittedRead) -> Outcome:
        self.counts.requests += 1
        outcome = await self._bus.ask(self._guard, permitted, self._timeout_s, PAUSE_S)
        silent = outcome.fault is not None or outcome.code in GATEWAY
        self._answered |= not silent
        self._missed = self._missed + 1 if silent else 0
        if self._missed >= GIVE_UP and not self._answered and not self._patient:
            raise UnitSilentError
        return outcome


def _standing_on(found: RegisterMap, chain: Chain) -> int | None:
    """Return a SunSpec model of the device that has any of these registers, where they mean something else."""
    for model in chain.models:
        end = model.address + model.words
        if any(p.function == HOLDING and p.address < end and model.address < p.end for p in found.places):
            return model.number
    return None


def _unit_of(guard: ModbusGuard) -> int:
    (number,) = guard.units
    return number


def _sample(profile: Profile, found: RegisterMap, image: Image) -> Sample | None:
    frame = found.frame(image, 0)
    if frame is None:
        return None
    sampler = Sampler(decoders(profile, Decoding(found), None), 0, LinkCounts())
    samples = [*sampler.feed([frame], _stamp), *sampler.finish(1, _stamp)]
    return samples[0] if samples else None


def _stamp(mono_ns: int) -> Instant:
    return Instant(mono_ns, 0, ClockQuality.UNSYNCHRONISED)


def _fit(profile: Profile, sample: Sample | None, declined: int, total: int) -> Fit:
    if sample is None:
        return Fit(profile, 0.0, (), ("none of its registers is there",))
    good = len(sample.values)
    impossible = sum(flaw in (Flaw.OUT_OF_RANGE, Flaw.NOT_A_NUMBER) for flaw in sample.flaws.values())
    reasons = [f"{good} values"]
    against: list[str] = []
    if impossible:
        against.append(f"{impossible} of {good + impossible} values are impossible")
    if declined and profile.register:
        (reasons if 2 * declined < total else against).append(f"{declined} of its {total} reads are declined")
    against += _doubts(sample, reasons)
    share = good / (good + impossible + declined) if good else 0.0
    return Fit(profile, share, tuple(reasons), tuple(against), good)


def _doubts(sample: Sample, reasons: list[str]) -> list[str]:
    """Return what cannot be of any battery; tell the reasons of what can hardly be by chance."""
    by = {channel: value for channel, value in sample.values.items() if channel.index == 0}
    pack_v = next((v for c, v in by.items() if c.quantity is Quantity.PACK_VOLTAGE_V), None)
    cells = [v for c, v in sample.values.items() if c.quantity is Quantity.CELL_VOLTAGE_V]
    ends = [v for c, v in by.items() if c.quantity in (Quantity.CELL_VOLTAGE_MAX_V, Quantity.CELL_VOLTAGE_MIN_V)]
    doubts = []
    if pack_v is not None and pack_v < LEAST_CELL_V:
        doubts.append(f"a pack of {pack_v:g} V")
    if any(not LEAST_CELL_V <= v <= GREATEST_CELL_V for v in (*cells, *ends)):
        doubts.append("a cell that no battery has")
    if pack_v and cells and abs(sum(cells) - pack_v) <= SUM_SHARE * pack_v:
        reasons.append(f"its {len(cells)} cells add up to its {pack_v:g} V")
    return doubts


def _text(content: bytes) -> str:
    text = content.decode("ascii", "replace").rstrip("\0 ")
    return "".join(c if c.isprintable() else "?" for c in text)
