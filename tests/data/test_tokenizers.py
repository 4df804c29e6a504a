"""Bytes and Hugging Face tokenisers in row space."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmark.core.errors import UserError
from benchmark.data import DataConfig, build_rows, load_tokenizer, parse_source
from benchmark.data.tokenizers import tokenizer_fingerprint
from tests.data.conftest import WORDS, WriteJsonl, sentences


@pytest.fixture
def saved_tokenizer(tmp_path: Path) -> Path:
    """A word-level Hugging Face tokeniser in a local folder."""
    tokenizers = pytest.importorskip("tokenizers")
    transformers = pytest.importorskip("transformers")
    vocabulary = {word: i for i, word in enumerate([*WORDS, "[UNK]"])}
    model = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="[UNK]"))
    model.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    folder = tmp_path / "tokenizer"
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=model, unk_token="[UNK]")
    fast.save_pretrained(folder)
    return folder


def test_byte_tokens_are_byte_values() -> None:
    tokenizer = load_tokenizer("bytes")
    (tokens,) = tokenizer.encode_batch(["hé"])
    assert tokens.tolist() == [0x68, 0xC3, 0xA9]
    assert tokenizer.vocabulary_size == 256
    assert tokenizer.decode(np.append(tokens, [0, 0])) == "hé"
    assert tokenizer.decode(tokens[:2]) == "h\ufffd"


def test_hugging_face_tokens_leave_zero_free(saved_tokenizer: Path) -> None:
    tokenizer = load_tokenizer(str(saved_tokenizer))
    (tokens,) = tokenizer.encode_batch(["alpha gamma nothing"])
    assert tokens.tolist() == [1, 3, len(WORDS) + 1]
    assert tokenizer.vocabulary_size == len(WORDS) + 2
    assert tokenizer.decode(np.array([1, 3, 0, 0])) == "alpha gamma"


def test_rows_of_a_hugging_face_tokenizer(
    saved_tokenizer: Path, cache: Path, write_jsonl: WriteJsonl
) -> None:
    source = parse_source(write_jsonl("a.jsonl", sentences(20)))
    settings = DataConfig(tokenizer=str(saved_tokenizer), width=8, min_tokens=4)
    store = build_rows(source, settings, cache)
    assert store.meta.tokenizer == str(saved_tokenizer)
    assert store.tokens.max() < store.meta.vocabulary_size
    assert len(store) == 20 * 4  # 31 tokens a document: three full rows and one of seven


def test_a_changed_local_tokenizer_is_noticed(saved_tokenizer: Path, cache: Path) -> None:
    before = tokenizer_fingerprint(str(saved_tokenizer), cache)
    (saved_tokenizer / "tokenizer.json").write_text("{}")
    assert tokenizer_fingerprint(str(saved_tokenizer), cache) != before
    assert tokenizer_fingerprint("some/name", cache) == "some/name"


def test_a_tokenizer_that_cannot_be_loaded(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, write_jsonl: WriteJsonl
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "empty").mkdir()
    name = str(tmp_path / "empty")
    source = parse_source(write_jsonl("a.jsonl", sentences(5)))
    with pytest.raises(UserError, match=r"tokenizer: .*empty' cannot be loaded; valid: 'bytes'"):
        build_rows(source, DataConfig(tokenizer=name), cache)
    assert list((cache / "rows").glob("*.partial")) == []


def test_heavy_libraries_are_imported_only_when_used() -> None:
    heavy = "torch", "datasets", "transformers", "pyarrow"
    code = f"import sys, benchmark.data; print([n for n in {heavy} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_ids_with_gaps_are_stored_whole(
    tmp_path: Path, cache: Path, write_jsonl: WriteJsonl
) -> None:
    """The largest id, not the number of tokens, says how wide a row's numbers must be."""
    tokenizers = pytest.importorskip("tokenizers")
    transformers = pytest.importorskip("transformers")
    vocabulary = {"[UNK]": 0} | {word: 256 + i for i, word in enumerate(WORDS)}
    model = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="[UNK]"))
    model.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=model, unk_token="[UNK]")
    fast.save_pretrained(tmp_path / "gaps")
    settings = DataConfig(tokenizer=str(tmp_path / "gaps"), width=8, min_tokens=4)
    store = build_rows(parse_source(write_jsonl("a.jsonl", sentences(5))), settings, cache)
    tokenizer = load_tokenizer(str(tmp_path / "gaps"))
    assert tokenizer.vocabulary_size == store.meta.vocabulary_size == 256 + len(WORDS) + 1
    words = tokenizer.decode(store.tokens[0]).split()
    assert len(words) == 8
    assert set(words) <= {*WORDS, "[UNK]"}
    assert set(words) & set(WORDS)
