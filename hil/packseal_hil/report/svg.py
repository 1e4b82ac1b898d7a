"""matplotlib's SVG made part of a page: the page's colours and font, ids unique in it, nothing that is not drawn.

Colours are stand-ins while matplotlib draws; here they become the page's CSS variables, so that one drawing serves
light and dark. Numbers are rounded to a tenth of a pixel.
"""

import re
from xml.etree import ElementTree as ET

from packseal_hil.report.words import plain

INK, SOFT, RULE, BAND, EDGE = "#000001", "#000002", "#000003", "#000004", "#000005"
SERIES = ("#000011", "#000012", "#000013", "#000014", "#000015", "#000016")
VARIABLES = {INK: "ink", SOFT: "soft", RULE: "rule", BAND: "band", EDGE: "edge"} | {
    colour: f"line-{number}" for number, colour in enumerate(SERIES, 1)
}
REFERENCE = re.compile(r"url\(#([^)]+)\)")
NUMBER = re.compile(r"-?\d+\.\d+")
TURN_OF_NOTHING = re.compile(r"rotate\(-?0 [^)]*\)")


def in_page(drawn: bytes, prefix: str, title: str, text: str) -> str:
    """Return the element `svg` for a page; `title` and `text` are read to whoever does not see it."""
    root = ET.fromstring(drawn)  # noqa: S314 matplotlib wrote it a moment ago
    _forget_namespaces(root)
    _drop(root, "metadata")
    used = {name for element in root.iter() for name in _references(element)}
    for element in root.iter():
        _name(element, prefix, used)
        _style(element)
    view = root.get("viewBox", "")
    root.attrib.clear()
    root.attrib |= {"class": "plot", "viewBox": NUMBER.sub(_round, view), "role": "img"}
    root.attrib["aria-labelledby"] = f"{prefix}-title {prefix}-text"
    for order, (tag, content) in enumerate((("title", title), ("desc", text))):
        said = ET.Element(tag, {"id": f"{prefix}-{'text' if order else 'title'}"})
        said.text = plain(content)
        root.insert(order, said)
    return ET.tostring(root, encoding="unicode").replace("\n", " ")


def _forget_namespaces(root: ET.Element) -> None:
    """In an HTML document `svg` has its namespace by itself, and `href` needs none."""
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        element.attrib = {name.rpartition("}")[2]: value for name, value in element.attrib.items()}
        element.text = element.text if element.tag == "text" else None
        element.tail = None


def _drop(root: ET.Element, *tags: str) -> None:
    for parent in list(root.iter()):
        for child in [child for child in parent if child.tag in tags]:
            parent.remove(child)


def _references(element: ET.Element) -> set[str]:
    found = {name for value in element.attrib.values() for name in REFERENCE.findall(value)}
    return found | {element.attrib["href"].removeprefix("#")} if "href" in element.attrib else found


def _name(element: ET.Element, prefix: str, used: set[str]) -> None:
    """Keep the ids that something refers to, in this plot's own name."""
    own = element.attrib.pop("id", None)
    if own in used:
        element.set("id", f"{prefix}-{own}")
    for name, value in element.attrib.items():
        element.set(name, REFERENCE.sub(rf"url(#{prefix}-\1)", value))
    if "href" in element.attrib:
        element.set("href", f"#{prefix}-{element.attrib['href'].removeprefix('#')}")


def _style(element: ET.Element) -> None:
    for name in ("d", "x", "y", "width", "height", "transform"):
        if name in element.attrib:
            element.set(name, NUMBER.sub(_round, " ".join(element.attrib[name].split())))
    if "transform" in element.attrib and TURN_OF_NOTHING.fullmatch(element.attrib["transform"]):
        del element.attrib["transform"]
    kept = []
    for rule in element.attrib.pop("style", "").split(";"):
        name, _, value = (part.strip() for part in rule.partition(":"))
        if name and not name.startswith(("font", "stroke-linejoin")):  # both are the page's
            kept.append(f"{name}:{f'var(--{VARIABLES[value]})' if value in VARIABLES else value}")
    if kept:
        element.set("style", ";".join(kept))


def _round(number: re.Match[str]) -> str:
    return f"{round(float(number.group()), 1):g}"
