"""What methods read of text in several processes: the same bits and bills as in one."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from baselines.filters.classifier_filter import ClassifierFilter
from baselines.filters.dsir import Dsir
from baselines.filters.retrieval import Retrieval
from baselines.mixtures.crisp import Crisp
from baselines.row_text import Reading, by_blocks
from benchmark.api.state import state_of
from benchmark.core.processes import side_by_side
from benchmark.data.tokenizers import BYTES
from benchmark.tasks.language_modelling.task import TextDecoder
from tests.baselines.tasks import MakeTask, prepared

FEW = {"count": 8, "components": 8, "ngrams": {"buckets": 4096}}
METHODS: dict[str, tuple[Any, dict[str, Any]]] = {
    "dsir": (Dsir, {}),
    "classifier_filter": (ClassifierFilter, {"generic_rows": 200, "ngrams": {"buckets": 4096}}),
    "crisp": (Crisp, FEW),
    "retrieval": (Retrieval, {"components": 8, "ngrams": {"buckets": 4096}, "neighbours": 8}),
}


@pytest.fixture
def two_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("baselines.row_text.BLOCK_ROWS", 256)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.long
@pytest.mark.parametrize("name", METHODS)
@pytest.mark.usefixtures("two_threads")
def test_processes_change_no_bit(
    name: str, corpora_tasks: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def noting(function: Any, processes: int) -> Any:
        asked.append(processes)
        return side_by_side(function, processes)

    monkeypatch.setattr("baselines.row_text.side_by_side", noting)
    method, settings = METHODS[name]
    found = []
    for fewest in (1, 10**6):
        monkeypatch.setattr("baselines.row_text.FEWEST_BLOCKS", fewest)
        made = prepared(method, corpora_tasks(), **settings)
        found.append((state_of(made), made.task.meter.bill().parts))
    assert set(asked) == {1, 2}
    (states, bills), (alone, bill) = found
    assert states.keys() == alone.keys()
    assert all(states[key].equal(alone[key]) for key in alone)
    assert bills == bill


def test_a_small_corpus_is_read_here(corpora_tasks: MakeTask) -> None:
    task = corpora_tasks()
    here: list[int] = []
    with by_blocks(task, lambda rows: here.append(len(rows))) as read:  # cannot be pickled
        list(read(np.arange(len(task.generic))))
    assert sum(here) == len(task.generic)


def test_decoders_are_sent_by_name() -> None:
    decoder = TextDecoder(BYTES)
    rows = np.array([[104, 105, 0]])
    assert decoder(rows) == ["hi"]
    reading = pickle.loads(pickle.dumps(Reading(decoder, has_byte_rows=True)))
    assert reading.decode(rows) == ["hi"]
    assert "_tokenizer" not in vars(pickle.loads(pickle.dumps(decoder)))
