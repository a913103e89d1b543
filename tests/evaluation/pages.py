"""What every page must be, and what is drawn on it."""

import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

VOID = {"meta"}


class Checked(HTMLParser):
    """Every tag is closed in order; what is shown, and every attribute."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.shown: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.shown.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.shown).split())


def pictures(html: str) -> list[ET.Element]:
    return [ET.fromstring(one) for one in re.findall(r"<svg.*?</svg>", html, re.DOTALL)]


def drawn(picture: ET.Element, kind: str) -> list[ET.Element]:
    """The parts of a picture of one class."""
    return [one for one in picture.iter("g") if one.get("class") == kind]


def at(mark: ET.Element) -> tuple[float, float]:
    """Where a mark is."""
    (used,) = mark.iter("use")
    return float(used.get("x") or 0), float(used.get("y") or 0)


def checked(html: str) -> Checked:
    """A page that holds what every page must."""
    found = Checked(html)
    ids = [value for _, name, value in found.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    for tag, name, value in found.attributes:
        assert name not in ("src", "srcset", "data", "action"), tag
        assert not name.startswith("on"), tag
        assert name != "href" or value.removeprefix("#") in ids
    assert not {"script", "link", "img", "iframe", "object", "base"} & set(found.tags)
    assert "url(" not in html
    assert "@import" not in html
    for picture in pictures(html):
        assert picture.get("role") == "img"
        named = (picture.get("aria-labelledby") or "").split()
        assert [child.get("id") for child in picture[:2]] == named
        assert all(child.text for child in picture[:2])
        numbers = [value for child in picture.iter() for value in child.attrib.values()]
        assert not any(value in ("nan", "inf", "-inf") or "nan " in value for value in numbers)
    return found
