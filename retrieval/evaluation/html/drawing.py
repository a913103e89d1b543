"""Pictures by matplotlib, as SVG that is part of a page.

A point is a CSS pixel at the picture's natural width. Matplotlib draws in the colours of `INK` and the like, each of
which stands for a property of the page's style sheet and becomes it in the SVG: so a picture is light or dark with its
page, and its letters are the page's. The same picture is the same text every time.
"""

from __future__ import annotations

import io
import re
import warnings
import xml.etree.ElementTree as ET
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import matplotlib.style
from markupsafe import Markup
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.artist import Artist

WIDTH = 360
INK, SOFT, GRID, CARD, INDEX, TWIN, LOST = (f"#00000{number}" for number in range(1, 8))
_PROPERTIES = {INK: "ink", SOFT: "soft", GRID: "grid", CARD: "card", INDEX: "index", TWIN: "twin", LOST: "lost"}
_HREF = "{http://www.w3.org/1999/xlink}href"
_FONT = re.compile("font-family:[^;]*;? ?")
_NOT_IN_PAGES = re.compile("[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LONG_NUMBER = re.compile(r"-?\d+\.\d{3,}")

_STYLE: dict[str, Any] = {
    "figure.dpi": 72,
    "figure.facecolor": "none",
    "figure.constrained_layout.use": True,
    "svg.fonttype": "none",
    "text.parse_math": False,
    "svg.hashsalt": "soundalike",
    "font.size": 12,
    "text.color": INK,
    "axes.facecolor": "none",
    "axes.labelcolor": SOFT,
    "axes.labelsize": 12,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.xmargin": 0,
    **{f"axes.spines.{side}": False for side in ("left", "right", "top", "bottom")},
    **{f"{axis}tick.color": SOFT for axis in "xy"},
    **{f"{axis}tick.major.size": 0 for axis in "xy"},
    "xtick.major.pad": 7,
    "grid.color": GRID,
    "grid.linewidth": 1,
    "legend.frameon": False,
}


@contextmanager
def style() -> Iterator[None]:
    """What every function that draws runs in, as its decorator: settings of a user's own do not count."""
    with matplotlib.style.context(_STYLE, after_reset=True), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # letters are the page's, not matplotlib's
        yield


def showable(text: str) -> str:
    """A text in which characters that no page may hold are replaced."""
    return _NOT_IN_PAGES.sub("\N{REPLACEMENT CHARACTER}", text)


class Drawing:
    """A picture with one pair of axes."""

    def __init__(self, height: float = 236) -> None:
        self.figure = Figure(figsize=(WIDTH / 72, height / 72))
        self.axes = self.figure.subplots()
        self._named: dict[str, tuple[str, str]] = {}

    def name(self, artist: Artist, kind: str, title: str = "") -> None:
        """Make an artist's group one of a class, which says its title when pointed at."""
        number = f"named-{len(self._named)}"
        artist.set_gid(number)
        self._named[number] = (kind, title)

    def markup(self, name: str, title: str, description: str) -> Markup:
        """The whole SVG, which a screen reader reads as one image; `name` is unique on the page."""
        written = io.BytesIO()
        self.figure.savefig(written, format="svg", metadata={"Date": None})
        root = ET.fromstring(showable(written.getvalue().decode()))
        for child in [child for child in root if not child.tag.endswith("}g")]:
            root.remove(child)  # what made it, and when
        for element in list(root.iter()):
            self._adapt(element, name)
        root[:0] = [_text_element("title", title, f"{name}-title"), _text_element("desc", description, f"{name}-desc")]
        labels = f"{name}-title {name}-desc"
        root.attrib = {"viewBox": root.attrib["viewBox"], "role": "img", "aria-labelledby": labels}
        return Markup(showable(ET.tostring(root, encoding="unicode")))

    def _adapt(self, element: ET.Element, name: str) -> None:
        """Take an element of matplotlib's into the page: its names, its colours, and no more digits than are seen."""
        element.tag, element.tail = element.tag.rpartition("}")[2], None
        if element.tag != "text":
            element.text = None
        attributes = element.attrib
        attributes.pop("clip-path", None)
        own_id = attributes.pop("id", "")
        if own_id in self._named:
            attributes["class"], title = self._named[own_id]
            if title:
                element.insert(0, _text_element("title", title))
        elif element.tag == "path" and own_id:  # a marker, which is drawn by its name
            attributes["id"] = f"{name}-{own_id}"
        if _HREF in attributes:
            attributes["href"] = f"#{name}-{attributes.pop(_HREF).removeprefix('#')}"
        if "style" in attributes:
            shown = _FONT.sub("", attributes["style"])
            attributes["style"] = re.sub("#00000[1-7]", lambda colour: f"var(--{_PROPERTIES[colour[0]]})", shown)
        for key in {"d", "x", "y", "transform"} & attributes.keys():
            short = _LONG_NUMBER.sub(lambda digits: f"{float(digits[0]):.2f}", attributes[key])
            attributes[key] = " ".join(short.split())


def _text_element(tag: str, text: str, own_id: str = "") -> ET.Element:
    element = ET.Element(tag, {"id": own_id} if own_id else {})
    element.text = text
    return element
