"""Pictures by matplotlib, as SVG that is part of a page.

Lengths are in the picture's own units, which are CSS pixels at its natural width. Matplotlib draws in the colours of
`INK` and the like, each of which stands for a property of the page's style sheet and becomes it in the SVG: so a
picture is light or dark with its page, and its letters are the page's. The same picture is the same text every time.
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

INK, SOFT, GRID, CARD, INDEX, TWIN, LOST = (f"#00000{number}" for number in range(1, 8))
_PROPERTIES = {INK: "ink", SOFT: "soft", GRID: "grid", CARD: "card", INDEX: "index", TWIN: "twin", LOST: "lost"}
_HREF = "{http://www.w3.org/1999/xlink}href"
_UNUSED = re.compile(r"font-family:[^;]*;? ?|stroke-linejoin: miter;? ?")
_NOT_IN_PAGES = re.compile("[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LONG_NUMBER = re.compile(r"-?\d+\.\d{3,}")

_STYLE: dict[str, Any] = {
    "figure.dpi": 72,  # a point is a pixel
    "figure.facecolor": "none",
    "svg.fonttype": "none",
    "text.parse_math": False,
    "svg.hashsalt": "soundalike",
    "font.size": 12,
    "text.color": INK,
    "axes.facecolor": "none",
    "axes.labelcolor": SOFT,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "axes.formatter.limits": (-9, 9),
    "axes.xmargin": 0,
    "axes.ymargin": 0,
    "xaxis.labellocation": "right",
    "xtick.major.pad": 7,
    "ytick.major.pad": 6,
    "grid.color": GRID,
    "grid.linewidth": 1,
    "legend.frameon": False,
    "legend.handletextpad": 0.2,
    "legend.columnspacing": 1.2,
    **{f"axes.spines.{side}": False for side in ("left", "right", "top", "bottom")},
    **{f"{axis}tick.{what}": size for axis in "xy" for what, size in (("major.size", 0), ("minor.size", 0))},
    **{f"{axis}tick.color": SOFT for axis in "xy"},
}


@contextmanager
def style() -> Iterator[None]:
    """What every function that draws runs in, as its decorator: settings of a user's own do not count."""
    with (
        matplotlib.style.context(_STYLE, after_reset=True),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # letters are the page's, not matplotlib's
        yield


def showable(text: str) -> str:
    """A text in which characters that no page may hold are replaced."""
    return _NOT_IN_PAGES.sub("\N{REPLACEMENT CHARACTER}", text)


class Drawing:
    """A picture with one pair of axes.

    Parameters
    ----------
    size : width and height
    area : left, top, right and bottom of the axes, from the picture's upper left corner
    """

    def __init__(self, size: tuple[float, float], area: tuple[float, float, float, float]) -> None:
        self.width, self.height = size
        left, top, right, bottom = area
        self.figure = Figure(figsize=(self.width / 72, self.height / 72))
        corner, shape = (left / self.width, 1 - bottom / self.height), (right - left, bottom - top)
        self.axes = self.figure.add_axes((*corner, shape[0] / self.width, shape[1] / self.height))
        self._named: dict[str, tuple[str, str]] = {}

    def name(self, artist: Artist, kind: str, title: str = "") -> None:
        """Make an artist's group one of a class, which says its title when pointed at."""
        number = f"named-{len(self._named)}"
        artist.set_gid(number)
        self._named[number] = (kind, title)

    def heighten(self, by: float) -> None:
        """Make room above all that is there."""
        left, bottom, width, height = self.axes.get_position().bounds
        share = self.height / (self.height + by)
        self.height += by
        self.figure.set_figheight(self.height / 72)
        self.axes.set_position((left, bottom * share, width, height * share))

    def head(self, text: str) -> None:
        """Name the vertical axis, above the axes."""
        self.figure.text(0, 1 - 12 / self.height, text, color=SOFT)

    def markup(self, name: str, title: str, description: str) -> Markup:
        """The whole SVG, which a screen reader reads as one image; `name` is unique on the page."""
        written = io.BytesIO()
        self.figure.savefig(written, format="svg", metadata={"Date": None})
        root = ET.fromstring(showable(written.getvalue().decode()))
        for child in [child for child in root if not child.tag.endswith("}g")]:
            root.remove(child)  # what made it, and when
        for element in list(root.iter()):
            self._adapt(element, name)
        texts = [("title", title), ("desc", description)]
        root[:0] = [_text_element(tag, text, id=f"{name}-{tag}") for tag, text in texts]
        root.attrib = {
            "viewBox": f"0 0 {self.width:g} {self.height:g}",
            "width": f"{self.width:g}",
            "height": f"{self.height:g}",
            "role": "img",
            "aria-labelledby": f"{name}-title {name}-desc",
        }
        return Markup(showable(ET.tostring(root, encoding="unicode")))

    def _adapt(self, element: ET.Element, name: str) -> None:
        """Take an element of matplotlib's into the page: its names, its colours, and no more digits than are seen."""
        element.tag = element.tag.rpartition("}")[2]
        element.tail = None
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
        if attributes.get("transform", "").startswith("rotate(-0 "):
            del attributes["transform"]
        for key, value in attributes.items():
            if key == "style":
                value = _UNUSED.sub("", value)
                for colour, of_the_page in _PROPERTIES.items():
                    value = value.replace(colour, f"var(--{of_the_page})")
            elif key in ("d", "x", "y"):
                value = _LONG_NUMBER.sub(lambda digits: f"{float(digits[0]):.2f}", " ".join(value.split()))
            attributes[key] = value


def _text_element(tag: str, text: str, **attributes: str) -> ET.Element:
    element = ET.Element(tag, attributes)
    element.text = text
    return element
