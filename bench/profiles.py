"""What each profile costs: making its decoders from the DBC, loading them from the cache, and their memory."""

import gc
import tempfile
import time
import tracemalloc
from pathlib import Path

from bench.row import Effort, Row, spread
from packseal_drivers import profile
from packseal_drivers.decoding import compile_decoders

BYTES_PER_KB = 1024
NAMED = 3


def measure(effort: Effort) -> list[Row]:
    """Take every profile that comes along once; each row is the spread over them, its note names the dearest."""
    names = profile.names()
    made_ms, loaded_ms, kept_kb = {}, {}, {}
    compile_decoders(profile.load(names[0]))  # cantools itself is imported by the first
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder) / "cache"
        for number, name in enumerate(names, 1):
            file = profile.load(name)
            made_ms[name] = _cpu_ms(file, cache)
            loaded_ms[name] = _cpu_ms(file, cache)
            kept_kb[name] = _kept_kb(file, cache)
            effort.tell(number / len(names))
    return [
        _row("profile, decoders made", "ms CPU", made_ms, "first start of an agent, cantools already imported"),
        _row("profile, decoders loaded", "ms CPU", loaded_ms, "every later start, from the cache"),
        _row("profile, memory", "kB", kept_kb, "what the loaded decoders keep (tracemalloc)"),
    ]


def _cpu_ms(file: profile.ProfileFile, cache: Path) -> float:
    begin = time.process_time()
    compile_decoders(file, cache)
    return (time.process_time() - begin) * 1000


def _kept_kb(file: profile.ProfileFile, cache: Path) -> float:
    gc.collect()
    tracemalloc.start()
    try:
        decoders = compile_decoders(file, cache)
        gc.collect()
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    del decoders
    return kept / BYTES_PER_KB


def _row(name: str, unit: str, found: dict[str, float], what: str) -> Row:
    dearest = sorted(found, key=lambda n: -found[n])[:NAMED]
    most = ", ".join(f"{n} {found[n]:.1f}" for n in dearest)
    return Row(name=name, unit=unit, ours=spread(list(found.values())), note=f"{what}; {len(found)} profiles: {most}")
