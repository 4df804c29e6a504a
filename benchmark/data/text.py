"""Documents and the cleaning of text that all sources share."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from typing import NamedTuple


class Document(NamedTuple):
    """One text and the provenance domain that it came from."""

    text: str
    domain: str


_LONE_SURROGATE = re.compile("[\ud800-\udfff]")  # JSON may hold them, UTF-8 may not


def clean(text: str) -> str:
    """White space to single spaces, NUL characters removed, what UTF-8 cannot hold replaced."""
    if not text.isascii():
        text = _LONE_SURROGATE.sub("\ufffd", text)
    return " ".join(text.replace("\0", "").split())


def clean_documents(documents: Iterable[Document]) -> Iterator[Document]:
    """Clean every text; skip documents without any."""
    for document in documents:
        if text := clean(document.text):
            yield Document(text, document.domain)


def uniform_hash(text: str, purpose: str) -> float:
    """A number in [0, 1) that depends on nothing but ``text`` and ``purpose``."""
    digest = hashlib.blake2b(text.encode(), digest_size=8, person=purpose.encode()).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2**53


def without_duplicates(documents: Iterable[Document]) -> Iterator[Document]:
    """Skip repeated texts. Remembers 16 bytes a document: only for corpora of bounded size."""
    seen: set[bytes] = set()
    for document in documents:
        digest = hashlib.blake2b(document.text.encode(), digest_size=16).digest()
        if digest not in seen:
            seen.add(digest)
            yield document


class _TextOnly(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []

    def handle_data(self, data: str) -> None:
        self.parts.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        if tag in {"p", "li", "br", "div", "ul", "ol", "dt", "dd", "tr", "td"}:
            self.parts.append(" ")


def strip_html(markup: str) -> str:
    """Text of an HTML fragment, entities resolved."""
    parser = _TextOnly()
    parser.feed(markup)
    parser.close()
    return "".join(parser.parts)


_WIKI_REMOVED = re.compile(
    r"<!--.*?-->|<ref[^>/]*/>|<ref[^>]*>.*?</ref>|<gallery.*?</gallery>|<math.*?</math>"
    r"|__[A-Z]+__",
    re.DOTALL | re.IGNORECASE,
)
_WIKI_TEMPLATE = re.compile(r"\{\{[^{}]*\}\}|\{\|[^{}]*\|\}")
_WIKI_MEDIA = re.compile(r"\[\[(?:File|Image|Category):(?:[^\[\]]|\[\[[^\[\]]*\]\])*\]\]", re.I)
_WIKI_LINK = re.compile(r"\[\[(?:[^\[\]|]*\|)?([^\[\]|]*)\]\]")
_WEB_LINK = re.compile(r"\[https?://\S+\s*([^\]]*)\]")
_WIKI_MARKS = re.compile(r"'{2,}|^=+|=+\s*$|^[*#:;]+", re.MULTILINE)


def strip_wiki(markup: str) -> str:
    """Readable text of a wiki article: no templates, tables, references, media or link targets."""
    text = _WIKI_REMOVED.sub(" ", markup)
    previous = None
    while previous != text:  # templates nest: innermost first
        previous, text = text, _WIKI_TEMPLATE.sub(" ", text)
    text = _WIKI_MEDIA.sub(" ", text)
    text = _WIKI_LINK.sub(r"\1", text)
    text = _WEB_LINK.sub(r"\1", text)
    return strip_html(_WIKI_MARKS.sub("", text))
