"""The studies and folders of results that commands are given."""

from __future__ import annotations

from pathlib import Path

from benchmark.core.errors import UserError, unknown
from benchmark.methods.registry import check_methods
from benchmark.study.loading import find_study, load_study
from benchmark.study.study import Study


def load(name: str) -> Study:
    """The study of a file or an embedded one, its methods checked.

    Raises:
        UserError: naming the file, the key, the bad value and what is valid.
    """
    file = find_study(name)
    study = load_study(file)
    check_methods(study, file)
    return study


def results_of(study: str, results: Path) -> Path:
    """The results folder of a study given by file, by name, or by that folder itself.

    Raises:
        UserError: there is no such folder, or the file is not a valid study.
    """
    if study.endswith((".yaml", ".yml")):
        folder = results / load_study(find_study(study)).study
    else:
        named = results / study
        folder = named if (named / "study.json").exists() else Path(study)
    if not (folder / "study.json").exists():
        known = [file.parent.name for file in results.glob("*/study.json")]
        if not known:
            raise UserError(f"{results}: no results here; run a study first: adaptbench run STUDY")
        raise unknown("study", study, [*known, "or a folder with study.json"], at=f"{results}: ")
    return folder
