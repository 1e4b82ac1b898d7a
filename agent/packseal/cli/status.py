"""packseal status: what the running agent says of itself."""

import argparse
import json
from pathlib import Path
from typing import Any

from packseal import config
from packseal.cli import ended_text
from packseal.runtime.asking import ask

MB = 1_000_000


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="default: packseal.toml here or in /etc/packseal")
    parser.add_argument("--json", action="store_true", help="the whole answer, for programs")


def execute(args: argparse.Namespace) -> int:
    """Print the status; returns 0 when the agent is running, and it is recording, delivering and publishing; else 1."""
    status = ask(config.read(args.config).socket)
    if args.json:
        print(json.dumps(status, indent=2))
    else:
        print("\n".join(_lines(status)))
    return 0 if _is_well(status) else 1


def _is_well(status: dict[str, Any]) -> bool:
    uplink = status["uplink"]
    wires = all(b["ended"] or b["link"]["state"] == "healthy" for b in status["batteries"])
    published = all(p["connected"] and not p["troubles"] for p in status["publish"])
    delivering = uplink is None or uplink["connected"] or uplink["settled"]
    registry = status["registry"]
    known = registry is None or not registry["trouble"]
    return wires and published and not status["journal"]["last_error"] and delivering and known


def _lines(status: dict[str, Any]) -> list[str]:
    gateway, journal, uplink = status["gateway"], status["journal"], status["uplink"]
    memory = f"{gateway['peak_memory_mib']:.0f} MiB at most"
    lines = [f"gateway   {gateway['id']}, running for {gateway['uptime_s']:.0f} s, {memory}"]
    for battery in status["batteries"]:
        lines += _battery_lines(battery)
    trouble = f", NOT WRITABLE: {journal['last_error']}" if journal["last_error"] else ""
    lines.append(f"journal   {journal['records']} records sealed, {journal['pending']} not yet on disk{trouble}")
    if (registry := status["registry"]) is not None and registry["trouble"]:
        lines.append(f"registry  NOT TAKEN UP: {registry['trouble']}")
    if registry is not None:
        lines += [f"registry  {note}" for note in registry["notes"]]
    if status["kept"] is not None:
        lines.append(kept_line(status["kept"]))
    lines += _uplink_lines(uplink) if uplink else ["uplink    none configured: records are only kept"]
    if (power := status["power"]) is not None:
        trouble = f", NOT HEARD: {power['trouble']}" if power["trouble"] else ""
        lines.append(f"power     {power['state']}, by {power['source']}{trouble}")
    lines += [_ended(one) for one in status["ended_logs"]]
    if status["ended_logs"]:
        lines.append(f"          {ended_text.ADVICE}")
    for publisher in status["publish"]:
        lines += _publisher_lines(publisher)
    return lines


def _uplink_lines(uplink: dict[str, Any]) -> list[str]:
    state = "connected" if uplink["connected"] else uplink["state"]
    lines = [f"uplink    {state}, {uplink['records_outstanding']} records not yet receipted"]
    lines.append(f"          last receipt {uplink['last_receipt'] or 'never'}")
    if uplink["waiting"] and uplink["waiting"] != state:
        lines.append(f"          {uplink['waiting']}")
    lines += _link_lines(uplink["links"])
    lines += [f"          log {log_id[:8]} does not get on: {why}" for log_id, why in uplink["halted"].items()]
    return lines + [f"          {note}" for note in uplink["notes"]]


def _link_lines(links: list[dict[str, Any]]) -> list[str]:
    """Return a line for each of several links, or of one with a daily budget."""
    lines = []
    for link in links:
        limit = link["day_limit_bytes"]
        volume = f"{link['bytes_today'] / MB:.1f}" + (f" of {limit / MB:g}" if limit else "") + " MB today"
        if limit or len(links) > 1:
            lines.append(f"link      {link['name']}: {link['state']}; may carry {link['carries']}; {volume}")
    return lines


def kept_line(kept: dict[str, Any]) -> str:
    """Return what the journal holds, and what it does not hold any more."""
    size = f"{kept['bytes'] / MB:.1f} of {kept['limit_bytes'] / MB:g} MB"
    parts = [f"kept      {size} since {kept['oldest'] or 'now'}"]
    if kept["forgotten"]:
        parts.append(f"{kept['forgotten']} receipted records forgotten")
    parts += [
        f"{kept[name]['records']} {name}, of {kept[name]['from']} to {kept[name]['to']}"
        for name in ("thinned", "dropped")
        if kept[name]["records"]
    ]
    if kept["tight"]:
        parts.append(f"AT ITS LIMIT: keep.{kept['tight']}")
    return "; ".join(parts)


def _publisher_lines(publisher: dict[str, Any]) -> list[str]:
    state = "connected" if publisher["connected"] else publisher["state"]
    lines = [f"publish   {publisher['kind']} to {publisher['target']}: {state}"]
    lines.append(f"          {publisher['published']} published, last {publisher['last_published'] or 'never'}")
    return [*lines, *(f"          {subject}: {why}" for subject, why in publisher["troubles"].items())]


def _ended(one: dict[str, Any]) -> str:
    goes_on = f"log {one['successor'][:8]} goes on" if one["successor"] else "a new log is not yet begun"
    return f"ended     log {one['log_id'][:8]} on {one['noticed']}: {one['reason']}; {goes_on}"


def _battery_lines(battery: dict[str, Any]) -> list[str]:
    link = battery["link"]
    state = "its recording has ended" if battery["ended"] else link["state"].replace("_", " ")
    if battery["parts"]:
        silent = ", ".join(battery["silent_parts"])
        seen = f"made of {', '.join(battery['parts'])}" + (f"; not heard: {silent}" if silent else "")
    else:
        seen = _seen(link)
    taken = f"{battery['samples']} samples, {link['flawed']} flawed values, last {battery['last_sample'] or 'never'}"
    present = ", ".join(f"{name} {v['value']:g} {v['unit']}" for name, v in battery["present"].items())
    lines = [f"battery   {battery['id']} ({battery['profile']}): {state}", f"          {seen}", f"          {taken}"]
    return [*lines, f"          {present}"] if present else lines


def _seen(link: dict[str, Any]) -> str:
    return f"{link['frames']} frames, {link['unknown']} unknown, {link['short']} short, {link['dropped']} dropped"
