"""Pairs: what becomes of them on the way to a row, the models that read them, what is refused."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest
import torch
from torch import Tensor

from benchmark.api.auxiliary import resized
from benchmark.contract import Problem
from benchmark.core.errors import UserError
from benchmark.data import DataConfig, TargetConfig, prepare
from benchmark.data.text import Document, Tally
from benchmark.models.config import ModelConfig, TransformerConfig
from benchmark.models.losses import token_counts
from benchmark.study.study import Study
from benchmark.tasks.translation.corpora import READERS
from benchmark.tasks.translation.model import EncoderDecoder
from benchmark.tasks.translation.pretrained import build_pretrained
from benchmark.tasks.translation.rows import BYTE_END, PairEncoder, Sides
from benchmark.tasks.translation.scores import corpus_scores, greedy
from tests.tasks.test_derivatives import made_task

WIDTH = 24
SIZE = TransformerConfig(layers=1, width=16, heads=2, hidden=32)


def data_of(**changes: Any) -> DataConfig:
    content = {"task": "translation", "generic": "wagtail", "width": WIDTH, "min_tokens": 2}
    return DataConfig.model_validate(content | {"whitespace": "collapse"} | changes)


def encoded(*pairs: tuple[str, str | None], **changes: Any) -> tuple[list[np.ndarray], list[str]]:
    tally = Tally()
    encoder = PairEncoder(data_of(**changes), tally)
    batch = [Document(source, "d", target) for source, target in pairs]
    rows = [block for _, blocks in encoder.rows(batch) for block in blocks]
    return rows, list(tally.notes())


def write_pairs(file: Path, pairs: list[tuple[str, str]]) -> Path:
    records = [{"en": source, "de": target} for source, target in pairs]
    if file.suffix == ".parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(records), file)
    else:
        file.write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def problem(tmp_path_factory: pytest.TempPathFactory) -> Problem:
    return Problem(tmp_path_factory.mktemp("translation"), "translation")


def test_a_row_is_the_source_and_then_the_translation_with_its_end() -> None:
    ((row,),), notes = encoded(("house", "Haus ü"))
    assert bytes(row[:5].tolist()).decode() == "house"
    assert not row[5:12].any()
    assert bytes(row[12:19].tolist()).decode() == "Haus ü"
    assert row[19] == BYTE_END
    assert not row[20:].any()
    assert notes == []
    assert Sides(data_of())(row) == ("house", "Haus ü")


def test_pairs_that_are_none_are_left_out_and_counted() -> None:
    rows, notes = encoded(
        ("good one", "gut"),
        ("empty", "  "),
        ("null", None),
        ("much too long a text", "lang"),
        ("full", "x" * 12),
        ("fits", "x" * 11),
        ("short", "k"),
    )
    assert len(rows) == 2
    assert notes == [
        "pairs with a side longer than its half of width 24 left out: 2",
        "pairs with a side under min_tokens 2 left out: 1",
        "pairs with an empty translation left out: 2",
    ]


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_pairs_travel_from_records_to_signed_rows(tmp_path: Path, ending: str) -> None:
    def pairs(count: int, word: str) -> list[tuple[str, str]]:
        return [(f"{word} {i:03}", f"{word[::-1]} {i:03}") for i in range(count)]

    texts = [*pairs(60, "text"), ("", "leer"), ("no", "")]
    generic = write_pairs(tmp_path / f"generic.{ending}", texts)
    target = write_pairs(tmp_path / f"target.{ending}", pairs(40, "word"))
    fields = {"text_field": "en", "answer_field": "de"}
    data = data_of(generic={"files": str(generic), **fields}, generic_valid=10)
    content = {"source": {"files": str(target), **fields}, "train": 10, "valid": 5, "test": 5}
    prepared = prepare(data, TargetConfig.model_validate(content), tmp_path / "cache")
    rows = prepared.generic.tokens(np.arange(len(prepared.generic)))
    assert len(rows) == 50
    assert (rows[:, :12] <= 0).all()
    assert (rows[:, 12:] >= 0).all()
    assert token_counts(torch.from_numpy(rows)).tolist() == [9] * 50
    notes = prepared.report.left_out["generic"]
    assert "empty documents left out: 1" in notes
    assert "pairs with an empty translation left out: 1" in notes


def test_readers_of_wheels(tmp_path: Path) -> None:
    files = {
        "homeassistant/components/a/translations/en.json": '{"t": {"x": "on", "y": "off"}}',
        "homeassistant/components/a/translations/de.json": '{"t": {"x": "an", "z": "zu"}}',
        "homeassistant/components/b/translations/de.json": '{"t": "ohne"}',
        "wagtail/admin/locale/de/LC_MESSAGES/django.po": 'msgid "page"\nmsgstr "Seite"\n',
        "wagtail/admin/locale/fr/LC_MESSAGES/django.po": 'msgid "page"\nmsgstr "Page"\n',
    }
    path = tmp_path / "package.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for name, content in files.items():
            wheel.writestr(name, content)
    found = [(d.text, d.rest) for d in READERS["homeassistant"](path)]
    assert found == [("on", "an"), ("off", "")]
    assert [(d.text, d.rest) for d in READERS["wagtail"](path)] == [("page", "Seite")]


def rows_of(problem: Problem, count: int = 4) -> Tensor:
    return torch.from_numpy(problem.data.generic.tokens(np.arange(count)))


@torch.no_grad()
def test_a_loss_sees_the_source_and_the_tokens_before_and_no_more() -> None:
    model = EncoderDecoder(SIZE, 256, WIDTH, 12, 0).eval()
    row = torch.randint(1, 256, (1, WIDTH))
    row[:, :12] *= -1
    row[:, 8:12] = 0
    before = model(row)
    assert not before[:, :12].any()
    later = row.clone()
    later[:, 18:] = row[:, 18:] % 255 + 1
    assert torch.equal(before[:, :18], model(later)[:, :18])
    other = row.clone()
    other[:, 0] = -(-row[:, 0] % 255 + 1)
    assert (before[:, 12:] != model(other)[:, 12:]).all()


def test_greedy_translations_of_a_model_that_knows_them(problem: Problem) -> None:
    model = EncoderDecoder(SIZE, 256, problem.data.width, problem.data.given, 0)
    rows = rows_of(problem)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(300):
        loss = model(rows).sum() / token_counts(rows).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    found = greedy(model, -rows[:, : model.given], rows.shape[1] - model.given, BYTE_END)
    assert torch.equal(found, rows[:, model.given :])
    config = problem.run("pretraining", {}, {}).data
    view = problem.data.generic
    known = type(view)(view.store, view.index[:4], view.fingerprint)
    assert corpus_scores(model, known, config) == {
        "bleu": pytest.approx(100.0),
        "chrf": pytest.approx(100.0),
    }


def test_scores_are_those_of_the_translation_and_not_of_the_source(problem: Problem) -> None:
    fresh = EncoderDecoder(SIZE, 256, problem.data.width, problem.data.given, 1)
    config = problem.run("pretraining", {}, {}).data
    found = corpus_scores(fresh, problem.data.target_test, config)
    assert 0 <= found["bleu"] < 5
    assert 0 <= found["chrf"] < 20


def test_auxiliary_models_are_of_the_task(problem: Problem) -> None:
    model = problem.model()
    small = resized(made_task(problem, model), 0.5, "proxy")
    assert isinstance(small, EncoderDecoder)
    assert small.size.width < model.size.width
    assert small(rows_of(problem)).shape == rows_of(problem).shape


T5 = {"model_type": "t5", "d_model": 8, "d_kv": 4, "d_ff": 16, "num_layers": 1, "num_heads": 2}
BART = {
    "model_type": "bart",
    "d_model": 8,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 16,
    "decoder_ffn_dim": 16,
    "max_position_embeddings": 64,
}


@pytest.mark.parametrize("options", [T5, BART], ids=["t5", "bart"])
def test_models_of_transformers_are_main_models(
    problem: Problem, options: dict[str, Any], tmp_path: Path
) -> None:
    config = problem.run("pretraining", {}, {}).data
    drawn = ModelConfig(huggingface_config=options)
    model, again = (build_pretrained(drawn, config, problem.data, 3) for _ in range(2))
    rows = rows_of(problem)
    model.eval()
    with torch.no_grad():
        losses = model(rows)
        assert torch.equal(losses, again.eval()(rows))
        assert (losses[rows > 0] > 0).all()
        assert not losses[rows <= 0].any()
        later = rows.clone()
        later[:, model.given + 3 :] = rows[:, model.given + 3 :].clamp(max=254)
        later[:, model.given + 2] = rows[:, model.given + 2] % 255 + 1
        seen = model(later)[:, : model.given + 2]
        assert torch.allclose(losses[:, : model.given + 2], seen, atol=1e-5)
    assert set(corpus_scores(model, problem.data.target_test, config)) == {"bleu", "chrf"}
    assert isinstance(model.resized(0.5, 0), EncoderDecoder)
    model.model.save_pretrained(tmp_path / "saved")
    loaded = ModelConfig(huggingface=str(tmp_path / "saved"))
    kept_model = build_pretrained(loaded, config, problem.data, 0).eval()
    with torch.no_grad():
        kept = kept_model(rows)
    assert torch.allclose(kept, losses, atol=1e-6)


def test_checkpoints_that_do_not_fit_are_refused(problem: Problem) -> None:
    config = problem.run("pretraining", {}, {}).data
    for options, message in (
        ({"model_type": "gpt2"}, "could not be loaded"),
        ({**T5, "vocab_size": 100}, "knows 100 tokens"),
        ({**BART, "max_position_embeddings": 8}, "use a width of 16 or less"),
    ):
        with pytest.raises(UserError, match=message) as caught:
            build_pretrained(ModelConfig(huggingface_config=options), config, problem.data, 0)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": {"generic": {"files": "x.jsonl"}}}, "generic: answer_field is missing"),
        ({"data": {"examples": "first"}}, "examples: pairs are not cut"),
        ({"data": {"min_tokens": 12}}, "min_tokens 12 tokens of a side do not fit"),
        ({"data": {"options": {"beam": 4}}}, "options: translation has none"),
        ({"data": {"generic": {"noise": "letters", "documents": 3}}}, "generic: noise is text"),
        ({"models": {"m": {"network": {}}}}, "models.m: network: translation has none"),
        ({"data": {"task": "language_modelling"}}, "generic: corpus 'wagtail' is one of"),
    ],
)
def test_settings_of_other_tasks_are_refused(changes: dict[str, Any], message: str) -> None:
    content: dict[str, Any] = {
        "study": "pairs",
        "data": {"task": "translation", "generic": "wagtail", "width": WIDTH, "min_tokens": 2},
        "models": {"m": {"preset": "mini"}},
        "targets": {"indico": {"source": "indico", "train": 100}},
        "methods": ["pretraining"],
        "training": {"steps": 2},
        "fine_tuning": {"steps": 2},
    }
    for key, value in changes.items():
        content[key] = content[key] | value if key == "data" else value
    with pytest.raises(ValueError, match=message):
        Study.model_validate(content)


def test_text_has_no_answers() -> None:
    source = {"files": "x.jsonl", "answer_field": "label"}
    with pytest.raises(ValueError, match="answer_field: language_modelling has no answers"):
        DataConfig.model_validate({"generic": source})
