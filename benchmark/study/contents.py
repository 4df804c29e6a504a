"""What a study names, known by its content: checkpoints and tokenisers.

Rows are known by their fingerprint, and a record made from others is refused. What a model starts
from and how many tokens it knows is in no row, so that it has to be in the run's key.
"""

from __future__ import annotations

from pathlib import Path

from benchmark.core.errors import UserError
from benchmark.core.hub import COMMIT, hub_commit
from benchmark.data.config import DataConfig
from benchmark.data.digests import checkpoint_digest, tokenizer_digest
from benchmark.models.config import ModelConfig
from benchmark.study.records import read_index
from benchmark.study.study import RunSpec, Study


def with_contents(study: Study, cache: Path) -> Study:
    """The study with what its checkpoints and its tokeniser are: files by digests, hub by commit.

    ``cache`` remembers the digests of files that have not changed.

    Raises:
        UserError: a folder that is clearly meant as one is missing, a file cannot be read, or a
            name of the hub is not on this machine and cannot be asked for.
    """
    models = {
        name: model.model_copy(update={"files": _files(model, cache, f"models.{name}.")})
        for name, model in study.models.items()
    }
    digest = _tokenizer_files(study.data, cache)
    data = study.data.model_copy(update={"tokenizer_files": digest})
    return study.model_copy(update={"models": models, "data": data})


def require_contents(spec: RunSpec, cache: Path) -> None:
    """Refuse a run whose checkpoint or tokeniser is no longer the one that it was planned with.

    Raises:
        UserError: naming it.
    """
    model, data = spec.model, spec.data
    if _is_of_files(model.files) and model.files != _files(model, cache):
        raise _changed(f"models.{spec.model_name}: {model.huggingface}", model.files)
    if _is_of_files(data.tokenizer_files) and data.tokenizer_files != _tokenizer_files(data, cache):
        raise _changed(f"data.tokenizer: {data.tokenizer}", data.tokenizer_files)


def require_same_contents(study: Study, results: Path) -> None:
    """Refuse to mix results of a checkpoint or tokeniser with those of what it was before.

    ``study`` has its contents; ``results`` is the folder that its runs go to.

    Raises:
        UserError: naming what has changed and what to do.
    """
    if not (results / "study.json").exists():
        return
    before = read_index(results).study
    other = "rename the study or give another --results folder"
    for name, model in study.models.items():
        was = before.models.get(name)
        if was is None or was.huggingface != model.huggingface:
            continue
        if was.files != model.files and _has_records(results, f"{name}-*"):
            raise UserError(
                f"{results}: models.{name}: the files of {model.huggingface} have changed since "
                f"runs were made here: {other}"
            )
    was_data, data = before.data, study.data
    same_path = was_data.tokenizer == data.tokenizer
    if same_path and was_data.tokenizer_files != data.tokenizer_files and _has_records(results):
        raise UserError(
            f"{results}: data.tokenizer: the files of {data.tokenizer} have changed since runs "
            f"were made here: {other}"
        )


def _is_of_files(known_by: str) -> bool:
    """A commit is loaded as planned, whatever else is there."""
    return bool(known_by) and not known_by.startswith(COMMIT)


def _has_records(results: Path, runs: str = "*") -> bool:
    return any((results / "runs").glob(f"{runs}/record.json"))


def _changed(what: str, planned: str) -> UserError:
    return UserError(
        f"{what} has changed since these runs were planned (files {planned[:8]}): start the "
        "command again"
    )


def _files(model: ModelConfig, cache: Path, at: str = "") -> str:
    if model.huggingface is None:
        return ""
    at = f"{at}huggingface"
    _require_folder(model.huggingface, at)
    return checkpoint_digest(model.huggingface, cache) or hub_commit(model.huggingface, at)


def _tokenizer_files(data: DataConfig, cache: Path) -> str:
    if data.tokenizer == "bytes":
        return ""
    at = "data.tokenizer"
    _require_folder(data.tokenizer, at)
    return tokenizer_digest(data.tokenizer, cache) or hub_commit(data.tokenizer, at)


def _require_folder(name: str, at: str) -> None:
    """Names of the hub begin neither with a slash nor with a dot."""
    if name.startswith(("/", "./", "../")) and not Path(name).exists():
        raise UserError(
            f"{at}: {name}: no such folder; paths are relative to where the command runs"
        )
