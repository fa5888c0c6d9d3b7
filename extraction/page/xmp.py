"""Metadata as XMP tells it: XML in any encoding, often damaged, of which what can be read is taken."""

import contextlib
import re
from collections.abc import Iterator
from typing import Any, cast
from xml.etree import ElementTree

_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
_KEYS = {  # of the information dictionary, by the name of the property
    "{http://purl.org/dc/elements/1.1/}title": "Title",
    "{http://purl.org/dc/elements/1.1/}creator": "Author",
    "{http://purl.org/dc/elements/1.1/}description": "Subject",
    "{http://purl.org/dc/elements/1.1/}subject": "Keywords",
    "{http://ns.adobe.com/pdf/1.3/}Keywords": "Keywords",
    "{http://ns.adobe.com/xap/1.0/}CreatorTool": "Creator",
    "{http://ns.adobe.com/pdf/1.3/}Producer": "Producer",
    "{http://ns.adobe.com/xap/1.0/}CreateDate": "CreationDate",
    "{http://ns.adobe.com/xap/1.0/}ModifyDate": "ModDate",
}
_DECLARATION = re.compile(r"<\?xml[^<>]*>")  # without <, or many that do not end take the square of their length
_LONE_AMPERSAND = re.compile(r"&(?!#?\w+;)")


def read_xmp(packet: bytes) -> dict[str, str]:
    """Return the metadata in the *packet*, by the keys of the information dictionary, up to where it is damaged."""
    found: dict[str, str] = {}
    if packet:
        with contextlib.suppress(ElementTree.ParseError):
            for key, text in _list_properties(_decode(packet)):
                found.setdefault(key, text)
    return {key: found[key] for key in _KEYS.values() if key in found}


def _decode(packet: bytes) -> str:
    """Return the text of the packet from its first tag on: the zeros around that tell the encoding."""
    start = packet.find(b"<")
    if packet[start + 1 : start + 2] == b"\0":
        return packet[start:].decode("utf-16-le", "ignore")
    if packet[start - 1 : start] == b"\0":
        return packet[start - 1 :].decode("utf-16-be", "ignore")
    try:
        return packet[start:].decode()
    except UnicodeDecodeError:
        return packet[start:].decode("latin-1")


def _list_properties(xml: str) -> Iterator[tuple[str, str]]:
    """Yield the properties with their keys; raise ParseError where the XML ends or is none."""
    parser: ElementTree.XMLPullParser[Any] = ElementTree.XMLPullParser(("start", "end"))
    parser.feed(_LONE_AMPERSAND.sub("&amp;", _DECLARATION.sub("", xml).replace("\0", "").strip()))
    outer: list[ElementTree.Element] = []
    for event, element in cast(Iterator[tuple[str, ElementTree.Element]], parser.read_events()):
        if event == "start":
            outer.append(element)
            if element.tag == _RDF + "Description":
                yield from ((_KEYS[name], text) for name, text in element.items() if name in _KEYS and text)
            continue
        outer.pop()
        if element.tag in _KEYS and outer and outer[-1].tag == _RDF + "Description" and (text := _join_text(element)):
            yield _KEYS[element.tag], text


def _join_text(element: ElementTree.Element) -> str:
    """Return the text of a property, or of its items: of several languages the default, all of several authors."""
    items = [(item.get(_LANGUAGE), text) for item in element.iter() if (text := " ".join((item.text or "").split()))]
    if any(child.tag == _RDF + "Alt" for child in element):
        items = sorted(items, key=lambda item: item[0] != "x-default")[:1]
    return "; ".join(text for _, text in items)
