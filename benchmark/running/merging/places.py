"""A colleague's record of the same data from another place, as our study would have made it.

A spec names files by path, and its key and protocol are hashes of the spec: the same files in
another folder make another key. That stays so, as existing results are known by these keys. Where
two protocols differ in nothing but paths of files, the recorded fingerprint of all rows tells
whether they mean the same data; a record of the same is taken in under our paths.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from benchmark.running.merging.reading import ForeignRun
from benchmark.study.study import MethodEntry, RunSpec, Study

SHARED = {"data", "target", "model", "training", "fine_tuning"}
"""What a protocol hash is taken of."""
_ANYWHERE = "(a path)"


def shared(spec: RunSpec) -> dict[str, Any]:
    """The part of a spec that must be equal for runs to be compared."""
    return spec.model_dump(mode="json", include=SHARED)


def differ_in_paths_only(theirs: RunSpec, ours: RunSpec) -> bool:
    """Whether two protocols would be the same if files lay in the same place."""
    return _placeless(theirs) == _placeless(ours)


def same_method(one: MethodEntry, other: MethodEntry) -> bool:
    """Whether two entries are one method with one setting, its file wherever it lies."""
    same_code = bool(one.code) and one.code == other.code
    return one == (other.model_copy(update={"method": one.method}) if same_code else other)


def as_ours(run: ForeignRun, study: Study) -> ForeignRun:
    """A run that belongs into our study, under the paths that our study has.

    Paths and hashes are ours then; figures, rows and environment remain what they were.
    """
    record, spec = run.record, run.record.spec
    ours = [s for s in study.runs() if _cell(s) == _cell(spec)]
    if ours[0].protocol != record.protocol:
        places = {name: getattr(ours[0], name) for name in ("data", "target", "model")}
        spec = spec.model_copy(update=places)
    entry = next((s.method for s in ours if same_method(spec.method, s.method)), spec.method)
    spec = spec.model_copy(update={"method": entry})
    if spec.key == record.key:
        return run
    moved = record.model_copy(
        update={
            "spec": spec,
            "key": spec.key,
            "protocol": spec.protocol,
            "run_id": spec.run_id,
        }
    )
    return replace(run, record=moved, record_text=moved.model_dump_json(indent=1) + "\n")


def _cell(spec: RunSpec) -> tuple[str, str]:
    return spec.model_name, spec.target_name


def _placeless(spec: RunSpec) -> dict[str, Any]:
    content = shared(spec)
    content["data"]["generic"] = _without_places(content["data"]["generic"])
    content["target"]["source"] = _without_places(content["target"]["source"])
    if "files" in content["model"]:
        content["model"]["huggingface"] = _ANYWHERE
    if "tokenizer_files" in content["data"]:
        content["data"]["tokenizer"] = _ANYWHERE
    return content


def _without_places(source: dict[str, Any]) -> dict[str, Any]:
    """A dumped source with all that names local files replaced, its other choices as they are."""
    if "mixture" in source:
        parts = {
            name: part | {"source": _without_places(part["source"])}
            for name, part in source["mixture"].items()
        }
        return {"mixture": parts}
    if "files" in source:
        return source | {"files": _ANYWHERE}
    if source.get("data_files"):
        return source | {"data_files": _ANYWHERE}
    if source.get("dataset", "").startswith(("/", ".")):
        return source | {"dataset": _ANYWHERE}
    return source
