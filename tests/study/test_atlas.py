"""The design of the study atlas: the same each time, balanced, and on sources that may be used."""

from __future__ import annotations

import importlib.util
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from benchmark.data.catalogue import load_catalogue
from benchmark.study.study import Study

ATLAS = Path(__file__).parents[2] / "results" / "atlas"
DEVELOPMENT_TARGETS = {"kjv", "django_docs"}


@pytest.fixture(scope="module")
def design() -> ModuleType:
    """The script that wrote the study files."""
    spec = importlib.util.spec_from_file_location("atlas_design", ATLAS / "design.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def sources(design: ModuleType) -> dict[str, Any]:
    found: dict[str, Any] = design.read_sources()
    return found


@pytest.fixture(scope="module")
def made(design: ModuleType, sources: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = design.studies(sources)
    return found


def test_the_study_files_are_what_the_design_says(
    design: ModuleType, made: dict[str, dict[str, Any]]
) -> None:
    files = {file.stem: file.read_text() for file in (ATLAS / "studies").glob("*.yaml")}
    assert files == {name: design.as_yaml(study) for name, study in made.items()}
    assert (ATLAS / "outside.yaml").read_text() == design.as_yaml(design.outside())


def test_every_study_is_valid_and_tuned_elsewhere(
    design: ModuleType, made: dict[str, dict[str, Any]]
) -> None:
    for name, content in made.items():
        study = Study.model_validate(content)
        assert study.study == f"atlas_{name}"
        assert study.tuned == Path(design.TUNED)
        assert study.training.big_batch == study.training.batch * (study.downsampling or 0)
        for target in study.targets:
            study.data_for(target)


def test_methods_are_those_of_the_study_that_is_tuned(made: dict[str, dict[str, Any]]) -> None:
    file = ATLAS.parents[1] / "benchmark/study/embedded/development_tiny.yaml"
    tuned = {
        entry.label: entry
        for entry in Study.model_validate(yaml.safe_load(file.read_text())).methods
    }
    study = Study.model_validate(next(iter(made.values())))
    assert [tuned[entry.label] for entry in study.methods] == list(study.methods)
    assert study.models == Study.model_validate(yaml.safe_load(file.read_text())).models


def test_sources_are_many_known_and_not_those_of_development(sources: dict[str, Any]) -> None:
    catalogue = load_catalogue()
    kinds = Counter(source["kind"] for source in sources.values())
    assert kinds["control"] == 2
    assert sum(kinds.values()) - 2 >= 48
    assert len({source["package"] for source in sources.values()}) - 2 >= 40
    assert not DEVELOPMENT_TARGETS & sources.keys()
    used = {catalogue.corpora[name].package for name in DEVELOPMENT_TARGETS}
    for name, source in sources.items():
        assert source["licence"], name
        assert source["package"] not in used
        if source["kind"] == "control":
            continue
        corpus = catalogue.corpora[name]
        package = catalogue.packages[corpus.package]
        known = (corpus.package, package.version, package.sha256, corpus.licence)
        assert known == tuple(source[key] for key in ("package", "version", "sha256", "licence"))


def test_sources_of_a_package_are_on_one_side_and_a_third_is_tested(
    design: ModuleType, sources: dict[str, Any], made: dict[str, dict[str, Any]]
) -> None:
    parts = design.part_of(sources)
    packages = {(source["package"], parts[name]) for name, source in sources.items()}
    assert len(packages) == len({package for package, _ in packages})
    tested = [name for name, part in parts.items() if part == "test"]
    assert 0.28 < len(tested) / len(sources) < 0.38
    assert {part for name, part in parts.items() if sources[name]["kind"] == "control"} == {
        "fit",
        "test",
    }
    of = {
        name: target.rpartition("_")[0]
        for s in made.values()
        for target in s["targets"]
        for name in [target]
    }
    for name, study in made.items():
        assert {parts[of[target]] for target in study["targets"]} == {name.split("_")[0]}


def test_each_source_has_a_latin_hypercube_of_regimes(
    design: ModuleType, sources: dict[str, Any]
) -> None:
    shares: Counter[float] = Counter()
    for number, name in enumerate(sorted(sources, key=design.digest)):
        source = sources[name]
        cells = design.regimes(name, number, source)
        assert [sorted(cell["cell"][i] for cell in cells) for i in range(3)] == [[0, 1, 2]] * 3
        for cell in cells:
            assert 30 <= cell["sample"] <= min(3000, design.room(source))
            corpus = design.CORPUS[cell["cell"][1]]
            if cell["share"]:
                assert design.planted_megabytes(cell["share"], corpus) <= source["megabytes_train"]
            shares[cell["share"]] += source["kind"] == "other"
    others = sum(source["kind"] == "other" for source in sources.values()) * 3
    assert all(shares[share] > 0.15 * others for share in design.SHARES)


def test_whether_there_is_noise_does_not_go_with_another_factor(design: ModuleType) -> None:
    noisy = Counter(
        (factor, level)
        for i in range(27)
        for factor, level in enumerate((i // 9, i // 3 % 3, i % 3))
        if design.is_noisy((i // 9, i // 3 % 3, i % 3))
    )
    assert {*noisy.values()} <= {4, 5}
