"""Sources in pieces: the same bytes in any number of processes, nothing lost after a kill."""

from __future__ import annotations

import gzip
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from benchmark.core.errors import UserError
from benchmark.data import DataConfig, RowStore, build_rows, parse_source
from benchmark.data.building import Building
from benchmark.data.pieces import pieces_of
from benchmark.data.sources import TEXT, read_source
from benchmark.data.text import Tally
from tests.command_line import CommandLine
from tests.conftest import wait_for
from tests.data.conftest import sentences

SETTINGS = DataConfig(width=32, min_tokens=8)
SHARDS, DOCUMENTS = 5, 60
PILE = ("ArXiv", "FreeLaw", "PubMed Abstracts")


def write_c4(folder: Path) -> Path:
    """As allenai/c4 on disk: gzipped shards of an ``en`` folder, and those of its validation."""
    for split, of in (("train", "01024"), ("validation", "00008")):
        for shard in range(SHARDS):
            path = folder / "c4" / "en" / f"c4-{split}.{shard:05}-of-{of}.json.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            records = [
                {"text": f"{split}\n{text}", "timestamp": "2019-04-25T12:57:54Z", "url": "http://a"}
                for text in sentences(DOCUMENTS, seed=shard)
            ]
            path.write_bytes(gzip.compress(_lines(records), mtime=0))
    return folder / "c4" / "en"


def write_pile(folder: Path) -> Path:
    """As the Pile on disk: zstandard shards of ``train``, each of all sets."""
    for shard in range(SHARDS):
        path = folder / "pile" / "train" / f"{shard:02}.jsonl.zst"
        path.parent.mkdir(parents=True, exist_ok=True)
        records = [
            {"text": text, "meta": {"pile_set_name": PILE[number % 3]}}
            for number, text in enumerate(sentences(DOCUMENTS, seed=shard))
        ]
        with pa.CompressedOutputStream(str(path), "zstd") as stream:
            stream.write(_lines(records))
    return folder / "pile"


def _lines(records: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def c4(folder: Path) -> object:
    return str(write_c4(folder))


def pile(folder: Path) -> object:
    field = {"domain_field": "meta.pile_set_name"}
    return {"files": str(write_pile(folder)), **field, "domains": ["FreeLaw", "ArXiv", "Enron"]}


def mixed(folder: Path) -> object:
    """Parts in pieces, a part that ends somewhere, and one without files."""
    return {
        "mixture": {
            "web": {"source": {"files": str(write_c4(folder))}},
            "some": {"source": {"files": str(write_pile(folder))}, "megabytes": 0.02},
            "noise": {"source": {"noise": "letters", "documents": 20}},
        }
    }


CORPORA: dict[str, Callable[[Path], object]] = {"c4": c4, "pile": pile, "mixed": mixed}


def bytes_of(store: RowStore) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(store.folder.iterdir())}


@pytest.mark.parametrize("name", CORPORA)
def test_pieces_and_processes_change_no_byte(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = parse_source(CORPORA[name](tmp_path))
    whole = build_rows(source, SETTINGS, tmp_path / "whole")
    monkeypatch.setattr("benchmark.data.pieces.PIECE_BYTES", 1)
    assert len(pieces_of(source, tmp_path / "one", TEXT)) >= SHARDS
    for jobs in (1, 2):
        cache = tmp_path / f"{jobs}"
        assert bytes_of(build_rows(source, SETTINGS, cache, jobs=jobs)) == bytes_of(whole)
        kept = [place for place in (cache / "pieces").iterdir() if not place.suffix]
        assert len(kept) == sum(piece.lasts for piece in pieces_of(source, cache, TEXT))
    assert whole.meta.n_documents > DOCUMENTS


def test_the_documents_of_the_pieces_are_those_of_the_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = parse_source(mixed(tmp_path))
    whole = list(read_source(source, tmp_path))
    monkeypatch.setattr("benchmark.data.pieces.PIECE_BYTES", 1)
    pieces = pieces_of(source, tmp_path, TEXT)
    parts = [d for piece in pieces for d in piece.documents(tmp_path, "collapse", Tally(), TEXT)]
    assert parts == whole
    assert len({piece.key for piece in pieces}) == len(pieces)


def test_what_is_asked_for_and_missing_is_noted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmark.data.pieces.PIECE_BYTES", 1)
    notes = build_rows(parse_source(pile(tmp_path)), SETTINGS, tmp_path / "cache").meta.notes
    assert "domains asked for that no document has: 1 (Enron)" in notes
    assert f"documents of domains that are not asked for: {SHARDS * DOCUMENTS // 3}" in notes


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("name", ["c4", "pile"])
def test_a_shard_that_is_cut_short_is_one_line_and_loses_no_other(
    name: str, jobs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmark.data.pieces.PIECE_BYTES", 1)
    source, cache = parse_source(CORPORA[name](tmp_path)), tmp_path / "cache"
    whole = build_rows(source, SETTINGS, tmp_path / "whole")
    (shard, *_) = sorted(tmp_path.glob("*/*/*00003*" if name == "c4" else "*/*/03*"))
    good = shard.read_bytes()
    shard.write_bytes(good[: len(good) // 2])
    with pytest.raises(UserError, match=rf"{shard.name}: .*cut short: fetch it again") as caught:
        build_rows(source, SETTINGS, cache, jobs=jobs)
    assert "\n" not in str(caught.value)
    done = {place: place.stat().st_mtime_ns for place in _places(cache)}
    assert len(done) >= 3, "those before it"
    shard.write_bytes(good)
    kept: list[bool] = []

    def look(*_: object) -> None:
        kept.append(all(place.stat().st_mtime_ns == time for place, time in done.items()))

    assert bytes_of(build_rows(source, SETTINGS, cache, look, jobs)) == bytes_of(whole)
    assert kept
    assert all(kept), "what was done is not done again"


BUILD = """
import sys
from pathlib import Path
import benchmark.data.pieces
from benchmark.data import DataConfig, build_rows, parse_source

if __name__ == "__main__":
    benchmark.data.pieces.PIECE_BYTES = 1
    settings = DataConfig(width=32, min_tokens=8)
    build_rows(parse_source(sys.argv[1]), settings, Path(sys.argv[2]), jobs=2)
"""


def test_a_build_that_is_killed_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, cache = write_c4(tmp_path), tmp_path / "cache"
    whole = build_rows(parse_source(folder), SETTINGS, tmp_path / "whole")
    (tmp_path / "build.py").write_text(BUILD)
    command = [sys.executable, str(tmp_path / "build.py"), str(folder), str(cache)]
    with subprocess.Popen(command) as building:
        wait_for(lambda: _places(cache) or building.poll() == 0)
        building.send_signal(signal.SIGKILL)
    monkeypatch.setattr("benchmark.data.pieces.PIECE_BYTES", 1)
    assert bytes_of(build_rows(parse_source(folder), SETTINGS, cache)) == bytes_of(whole)


def _places(cache: Path) -> list[Path]:
    """Folders of pieces that are done."""
    return [place for place in (cache / "pieces").glob("*") if not place.suffix]


def test_rows_to_come_are_told_from_those_that_are_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmark.data.pieces.PIECE_BYTES", 1)
    heard: list[tuple[int, int | None]] = []
    store = build_rows(
        parse_source(write_c4(tmp_path)),
        SETTINGS,
        tmp_path / "cache",
        lambda _, rows, of: heard.append((rows, of)),
    )
    assert heard[0][1] is None
    assert heard[-1] == (len(store), len(store))
    assert all(of is None or abs(of - len(store)) < 0.2 * len(store) for _, of in heard)


def test_the_command_takes_processes(
    adaptbench: CommandLine, content: dict[str, Any], write_study: Callable[[Any], Path]
) -> None:
    done = adaptbench("data", "build", write_study(content), "--jobs", "2")
    assert done.returncode == 0, done.stderr
    assert "harbour: " in done.stdout


def test_mixtures_that_differ_in_one_part_share_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = {"source": {"noise": "letters", "documents": 40}, "megabytes": 0.01}
    reads: list[str] = []
    read = Building._write

    def counted(self: Any, folder: Path, piece: Any, *rest: Any) -> Any:
        reads.append(next(iter(piece.source.mixture)))
        return read(self, folder, piece, *rest)

    monkeypatch.setattr(Building, "_write", counted)
    data = DataConfig(width=16)
    for planted in (0.002, 0.004):
        parts = {"a": noise, "b": noise, "planted": noise | {"megabytes": planted}}
        build_rows(parse_source({"mixture": parts}), data, tmp_path)
    assert reads == ["a", "b", "planted", "planted"]
