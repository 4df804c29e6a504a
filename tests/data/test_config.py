"""What users may write about data, and what they are told when it is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from benchmark.core.errors import UserError
from benchmark.core.tasks import task_names
from benchmark.data import DataConfig, TargetConfig, parse_source
from benchmark.data.catalogue import Catalogue, load_catalogue
from benchmark.data.member_readers import MEMBER_READERS
from benchmark.data.source import EmbeddedSource, FilesSource, HubSource, MixtureSource
from benchmark.data.sources import describe
from benchmark.data.task_rows import rows_of


def test_a_name_is_an_embedded_corpus_or_a_path(tmp_path: Path) -> None:
    assert parse_source("kjv") == EmbeddedSource(embedded="kjv")
    assert parse_source(str(tmp_path)) == FilesSource(files=(tmp_path,))
    assert isinstance(parse_source("generic"), MixtureSource)


def test_each_key_chooses_its_kind_of_source() -> None:
    assert isinstance(parse_source({"embedded": "kjv", "part": "held_out"}), EmbeddedSource)
    assert isinstance(parse_source({"files": "a.txt", "text_field": "body"}), FilesSource)
    assert isinstance(parse_source({"dataset": "allenai/c4", "name": "en"}), HubSource)
    mixture = parse_source({"mixture": {"holy": {"source": "kjv", "megabytes": 1}}})
    assert isinstance(mixture, MixtureSource)
    assert describe(mixture) == "holy: kjv 1 MB"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("shakespear", "did you mean 'shakespeare'"),
        ("no-such-file.txt", "no such file or folder"),
        ("a text where a name should be " * 100, "or an existing file or folder"),
        ({"embedded": "kjw"}, "did you mean 'kjv'"),
        ({"embedded": "kjv", "part": "test"}, "'all', 'train' or 'held_out'"),
        ({"path": "a.txt"}, "keys embedded, files, dataset, noise, mixture"),
        ({"files": []}, "source.files.files"),
        ({"dataset": "a", "spilt": "train"}, "spilt"),
        ({"mixture": {}}, "at least 1"),
        (3, "a source is a name"),
    ],
)
def test_a_wrong_source_is_explained_in_one_line(value: object, said: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_source(value)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_validated_settings_survive_a_round_trip() -> None:
    data = DataConfig()
    assert DataConfig.model_validate_json(data.model_dump_json()) == data
    target = TargetConfig(source=parse_source({"embedded": "kjv"}))
    assert TargetConfig.model_validate(target.model_dump(mode="json")) == target


def test_rows_must_be_able_to_hold_the_shortest_piece() -> None:
    with pytest.raises(ValidationError, match="min_tokens 64 is more than width 32"):
        DataConfig(width=32, min_tokens=64)


def test_the_catalogue_is_complete_and_consistent() -> None:
    catalogue = load_catalogue()
    for task in task_names():
        named = (c for c in catalogue.corpora.values() if not c.members)
        readers = {c.reader for c in named if c.task == task}
        assert readers == set(rows_of(task).readers.embedded)
    assert {c.reader for c in catalogue.corpora.values() if c.members} == MEMBER_READERS.keys()
    assert {c.package for c in catalogue.corpora.values()} == set(catalogue.packages)
    assert 45 < sum(catalogue.generic.values()) < 55
    wrong = catalogue.corpora["kjv"].model_copy(update={"package": "absent"}).model_dump()
    with pytest.raises(ValidationError, match="package 'absent' is not listed"):
        Catalogue.model_validate({"packages": {}, "generic": {}, "corpora": {"x": wrong}})
