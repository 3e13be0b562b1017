"""A page's elements and words, read by Python's own parser, and what may not be among them."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Final

VOID: Final = {"br", "meta"}
FOREIGN: Final = {"img", "iframe", "object", "embed", "link", "form", "input", "base", "video", "audio", "image", "use"}
ONCE: Final = ("html", "head", "body", "script", "style", "h1", "main")


class Outline(HTMLParser):
    """A page: its elements, their attributes, its words, and elements that are not closed where they should be."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.faults: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"{tag} is closed where it is not open")

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in {"script", "style"}:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def html_faults(page: str) -> list[str]:
    """What is wrong with a page: elements that are open, twice or foreign, scripts and addresses in attributes."""
    outline = Outline(page)
    faults = outline.faults + [f"{tag} is not closed" for tag in outline.open]
    faults += [f"not one {tag}" for tag in ONCE if outline.tags.count(tag) != 1]
    faults += [f"{tag} is foreign" for tag in set(outline.tags) & FOREIGN]
    for name, value in outline.attributes:
        if name.startswith("on") or name in {"style", "src", "srcset", "action"}:
            faults.append(f"an attribute {name}")
        if name in {"href", "xlink:href"} and not value.startswith("#"):
            faults.append(f"a link to {value}")
    return faults
