"""One prepared target for all tests of single methods."""

from __future__ import annotations

from functools import partial

import pytest

from benchmark.data import PreparedData
from tests.baselines.tasks import MakeTask, corpora_task, prepare_corpora


@pytest.fixture(scope="session")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    return prepare_corpora(tmp_path_factory.mktemp("methods"))


@pytest.fixture
def corpora_tasks(corpora: PreparedData) -> MakeTask:
    """Makes a fresh task on the corpora, with other settings as given."""
    return partial(corpora_task, corpora)
