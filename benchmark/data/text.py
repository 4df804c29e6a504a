"""Documents and the cleaning of text that all sources share."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Container, Iterable, Iterator
from html.parser import HTMLParser
from typing import Any, Literal, NamedTuple

from benchmark.core.spelling import domain_name, spelled

Whitespace = Literal["collapse", "keep"]
MOST_COLUMNS_NAMED = 20
MOST_EXAMPLES = 3
ABSENT = "domains asked for that no document has"


class Document(NamedTuple):
    """One example: a text, the provenance domain that it came from, and what a task adds.

    Documents of one ``text`` are duplicates. ``rest`` is what the task's reader has for its
    encoder besides: a translation, or an image and its label.
    """

    text: str
    domain: str
    rest: Any = None

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.text.encode()) + int(getattr(self.rest, "nbytes", 0))


_LONE_SURROGATE = re.compile("[\ud800-\udfff]")  # JSON may hold them, UTF-8 may not


class Tally:
    """What is not used of a source while it is read: how many of what, and which columns."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = {}
        self.columns: set[str] = set()
        self.asked: dict[str, dict[str, bool]] = {}
        """For each source that names domains, whether a document of it has each of them."""

    def count(self, what: str, number: int = 1, example: str = "") -> None:
        """Add ``number`` of ``what``, if any; the first examples are named."""
        if number:
            self.counts[what] += number
        if number and example and len(self.examples.setdefault(what, [])) < MOST_EXAMPLES:
            self.examples[what].append(example)

    def unused(self, columns: Iterable[str]) -> None:
        """Name columns that are not read, the first ones met if there are very many."""
        if len(self.columns) < MOST_COLUMNS_NAMED:
            self.columns.update(columns)

    def met(self, source: str, domains: Iterable[str], there: Container[str]) -> None:
        """Of the ``domains`` that a source asks for, those ``there`` have been met."""
        found = self.asked.setdefault(source, {})
        for name in domains:
            found[name] = found.get(name, False) or name in there

    def add(self, other: Tally) -> None:
        """What another one has heard, as if this one had heard it next."""
        for what, number in other.counts.items():
            named = other.examples.get(what, [])
            for example in named:
                self.count(what, 1, example)
            self.count(what, number - len(named))
        self.unused(other.columns)
        for source, found in other.asked.items():
            self.met(source, found, {name for name in found if found[name]})

    def as_json(self) -> dict[str, Any]:
        """All of it, for :meth:`from_json`."""
        return {**vars(self), "columns": sorted(self.columns)}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Tally:
        """What :meth:`as_json` gave."""
        made = cls()
        made.counts, made.columns = Counter(content["counts"]), set(content["columns"])
        made.examples, made.asked = content["examples"], content["asked"]
        return made

    def notes(self) -> tuple[str, ...]:
        """A line for each kind of thing that is not used."""
        counts = [self._note(what, number) for what, number in sorted(self._counts().items())]
        names = sorted(spelled(str(name))[:40] for name in self.columns)[:MOST_COLUMNS_NAMED]
        return (*counts, *([f"columns not read: {', '.join(names)}"] if names else []))

    def _counts(self) -> Counter[str]:
        return self.counts + Counter({ABSENT: len(self._absent())})

    def _absent(self) -> list[str]:
        return [name for found in self.asked.values() for name, there in found.items() if not there]

    def _note(self, what: str, number: int) -> str:
        named = self._absent()[:MOST_EXAMPLES] if what == ABSENT else self.examples.get(what, [])
        more = f" and {number - len(named):,} more" * (number > len(named))
        return f"{what}: {number:,}" + (f" ({', '.join(named)}{more})" if named else "")


def clean(text: str) -> str:
    """White space to single spaces, NUL characters removed, what UTF-8 cannot hold replaced."""
    return " ".join(_without_unusable(text).split())


def keep_layout(text: str) -> str:
    r"""As `clean`, but line breaks and indentation stay; a line break is ``\n`` everywhere.

    Blank lines at the start and white space at the end are removed.
    """
    text = _without_unusable(text).replace("\r\n", "\n").replace("\r", "\n").rstrip()
    return text[text.rfind("\n", 0, len(text) - len(text.lstrip())) + 1 :]


def _without_unusable(text: str) -> str:
    if not text.isascii():
        text = _LONE_SURROGATE.sub("\ufffd", text)
    return text.replace("\0", "")


def clean_documents(
    documents: Iterable[Document], whitespace: Whitespace, tally: Tally
) -> Iterator[Document]:
    """Clean every text; skip documents without any, which ``tally`` counts."""
    cleaned = keep_layout if whitespace == "keep" else clean
    for document in documents:
        text = cleaned(document.text)
        if not text:
            tally.count("empty documents left out")
            continue
        if whitespace == "collapse" and _has_layout(document.text.strip()):
            tally.count(LAYOUT_LOST)
        tally.count(NULS_LEFT_OUT, "\0" in document.text)
        yield document._replace(text=text, domain=domain_name(document.domain))


LAYOUT_LOST = (
    "documents without their line breaks and indentation (data.whitespace: keep keeps them)"
)


NULS_LEFT_OUT = "documents with NUL characters, which are left out of them"


def _has_layout(text: str) -> bool:
    """Whether a text has line breaks, tabs or runs of spaces."""
    return any(mark in text for mark in ("\n", "\r", "\t", "  "))


def uniform_hash(text: str, purpose: str) -> float:
    """A number in [0, 1) that depends on nothing but ``text`` and ``purpose``."""
    digest = hashlib.blake2b(text.encode(), digest_size=8, person=purpose.encode()).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2**53


def without_duplicates(documents: Iterable[Document]) -> Iterator[Document]:
    """Skip repeated texts, however spaced; remembers 16 bytes a document, for bounded corpora."""
    seen: set[bytes] = set()
    for document in documents:
        digest = hashlib.blake2b(clean(document.text).encode(), digest_size=16).digest()
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
