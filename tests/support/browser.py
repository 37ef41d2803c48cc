"""Pages as a parser and as a headless Chromium see them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest


class Reader(HTMLParser):
    """The elements of a page with their attributes and texts."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.open.append(tag)
        self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        while tag in self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        for tag in self.open:
            self.texts[tag][-1] += data

    def of_class(self, tag: str, name: str) -> list[dict[str, str | None]]:
        return [
            attributes
            for one, attributes in self.elements
            if one == tag and name in (attributes.get("class") or "").split()
        ]


def data_in(text: str) -> Any:
    """What the page's script is given."""
    [value] = re.findall(r"^const data = (.*);$", text, re.MULTILINE)
    return json.loads(value)


def check_offline(text: str) -> None:
    """The page asks nobody for anything."""
    assert set(re.findall(r"[a-z]+://[^\s\"'<>]*", text)) == {"http://www.w3.org/2000/svg"}
    reader = Reader(text)
    for tag, attributes in reader.elements:
        assert tag not in ("link", "iframe", "img", "object", "embed", "base")
        assert not {"src", "href", "srcset", "action", "data", "xlink:href"} & attributes.keys()
    style, script = reader.texts["style"][0], reader.texts["script"][0]
    assert "@import" not in style and "url(" not in style
    assert not any(
        word in script for word in ("fetch(", "XMLHttpRequest", "import ", "WebSocket", "sendBeacon", ".src")
    )
    assert text.startswith("<!doctype html>") and '<meta charset="utf-8">' in text


def drawn(folder: Path, text: str, *, fragment: str = "", then: str = "", width: int = 1200) -> Reader:
    """The page as a browser leaves it after its script has run, and after the script `then`.

    Args:
        fragment: what stands behind the # of its address.
        width: of the window in pixels.
    """
    if (chromium := shutil.which("chromium")) is None:
        pytest.skip("no chromium on this machine: the page is not drawn")
    (folder / "page.html").write_text(text + (f"<script>{then}</script>" if then else ""), encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    flags += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    flags += [f"--user-data-dir={folder / 'profile'}", f"--window-size={width},900"]
    command = [chromium, *flags, "--dump-dom", f"file://{folder}/page.html{fragment and '#' + fragment}"]
    done = subprocess.run(command, capture_output=True, timeout=120, check=True)
    return Reader(done.stdout.decode("utf-8"))


CUT = """
document.title = JSON.stringify([...document.querySelectorAll("svg text")].filter(text => {
  const [own, all] = [text, text.closest("svg")].map(one => one.getBoundingClientRect());
  return own.left < all.left - 1 || own.right > all.right + 1 || own.top < all.top - 1 || own.bottom > all.bottom + 1;
}).map(text => text.textContent));
"""


def cut(folder: Path, text: str, *, fragment: str = "") -> list[str]:
    """The names of a page's charts that reach beyond them, as a browser draws them; none if the list is empty."""
    names = json.loads(drawn(folder, text, fragment=fragment, then=CUT).texts["title"][0])
    assert isinstance(names, list)
    return names
