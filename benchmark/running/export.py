"""The model of a run as a Hugging Face folder: weights, configuration and tokenizer."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmark.core.errors import UserError, unknown
from benchmark.core.tasks import LANGUAGE_MODELLING
from benchmark.data.as_huggingface import as_huggingface as tokenizer_of
from benchmark.data.tokenizers import BYTES, load_tokenizer
from benchmark.study.contents import require_contents
from benchmark.study.records import RunRecord, load_records, read_index, read_record
from benchmark.study.stages import Stage


def export(results: Path, run_id: str, stage: Stage, cache: Path, folder: Path) -> None:
    """Write the model of a run, as the stage left it, to a new folder.

    ``results`` is the study's folder; weights lie in the ``cache`` of the machine that made the
    run.

    Raises:
        UserError: no such run or weights, a folder that is there, or a tokenizer or checkpoint
            that is not the run's any more.
    """
    from benchmark.models.as_huggingface import as_huggingface
    from benchmark.models.build import build_model
    from benchmark.models.checkpoint import load_checkpoint, load_model_state

    if folder.exists():
        raise UserError(f"{folder}: is there already: give a folder that is not")
    record = _record(results, run_id)
    if record.spec.data.task != LANGUAGE_MODELLING:
        raise UserError(
            f"{results}: run {run_id} is of task {record.spec.data.task}: only models of "
            f"{LANGUAGE_MODELLING} are exported"
        )
    weights = load_checkpoint(_weights(record, stage, cache))
    spec = record.spec
    require_contents(spec, cache)
    name = spec.data.loaded_tokenizer
    model = build_model(
        spec.model,
        vocabulary_size=load_tokenizer(name).vocabulary_size,
        length=spec.data.width,
        tokenizer=name,
        seed=spec.seed,
        probes=cache / "probes",
    )
    load_model_state(model, weights)
    made, start = as_huggingface(model, 0 if name == BYTES else 1)
    tokenizer = tokenizer_of(name, start)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as partial:
        whole = Path(partial) / "model"
        made.save_pretrained(whole)
        tokenizer.save_pretrained(whole)
        whole.rename(folder)


def _record(results: Path, run_id: str) -> RunRecord:
    index = read_index(results)
    if run_id not in index.runs:
        done = [record.run_id for record in load_records(results) if record.status == "done"]
        raise unknown("run", run_id, done, at=f"{results}: ")
    record = read_record(results, run_id)
    if record is None or record.status != "done":
        raise UserError(f"{results}: run {run_id} has not ended well, so that it has no model")
    return record


def _weights(record: RunRecord, stage: Stage, cache: Path) -> Path:
    fingerprint = record.data["fingerprint"][:8]
    file = cache / "runs" / f"{record.run_id}-{fingerprint}" / f"{stage}.safetensors"
    if not file.exists():
        raise UserError(
            f"{file}: not there: weights are kept in the cache of the machine that made the run; "
            "give it by --cache, or run the study again"
        )
    return file
