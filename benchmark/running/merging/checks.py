"""Whether a colleague's runs belong into our study: same protocol, methods, data and start."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from benchmark.running.merging.places import differ_in_paths_only, same_method, shared
from benchmark.running.merging.reading import RefusedError
from benchmark.study.records import RunRecord
from benchmark.study.study import RunSpec, Study

SHORT = 8
Place = Callable[[RunRecord], Hashable]


@dataclass(frozen=True)
class _Ours:
    study: Study
    specs: list[RunSpec]
    records: list[RunRecord]


def not_ours(theirs: Iterable[RunRecord], study: Study, records: list[RunRecord]) -> dict[str, str]:
    """Why runs do not belong into our study, by run id; of several reasons the first.

    ``records`` are those that our study has.
    """
    ours = _Ours(study, study.runs(), records)
    left = {record.run_id: record for record in theirs}
    refused: dict[str, str] = {}
    for check in (_other_protocols, _other_methods, _other_data, _other_weights):
        found = check(left.values(), ours)
        refused |= found
        left = {run_id: record for run_id, record in left.items() if run_id not in found}
    return refused


def _other_protocols(theirs: Iterable[RunRecord], ours: _Ours) -> dict[str, str]:
    specs = {(spec.model_name, spec.target_name): spec for spec in ours.specs}
    measured = {record.spec.target_name for record in ours.records}
    refused = {}
    for record in theirs:
        spec = record.spec
        if spec.model_name not in ours.study.models:
            refused[record.run_id] = _not_in_study("model", spec.model_name, ours.study.models)
        elif spec.target_name not in ours.study.targets:
            refused[record.run_id] = _not_in_study("target", spec.target_name, ours.study.targets)
        else:
            here = specs[spec.model_name, spec.target_name]
            if record.protocol == here.protocol:
                continue
            difference = _difference(shared(spec), shared(here))
            if not differ_in_paths_only(spec, here):
                refused[record.run_id] = (
                    f"protocol {record.protocol[:SHORT]} differs from ours, "
                    f"{here.protocol[:SHORT]}: {difference}"
                )
            elif spec.target_name not in measured:
                refused[record.run_id] = (
                    f"its data lies elsewhere ({difference}), and no record of ours on target "
                    f"{spec.target_name!r} tells whether it is the same: run one first"
                )
    return refused


def _not_in_study(kind: str, name: str, known: Iterable[str]) -> str:
    return f"{kind} {name!r} is not in our study; its {kind}s: {', '.join(known)}"


def _other_methods(theirs: Iterable[RunRecord], ours: _Ours) -> dict[str, str]:
    """Runs of a method that is another one here, or that their own records do not agree on."""
    entries = {(s.model_name, s.target_name, s.method.label): s.method for s in ours.specs}
    labels = {entry.label for entry in ours.study.methods}
    refused, unknown = {}, []
    for record in theirs:
        spec = record.spec
        if spec.method.label not in labels:
            unknown.append(record)
            continue
        here = entries[spec.model_name, spec.target_name, spec.method.label]
        if not same_method(spec.method, here):
            refused[record.run_id] = (
                f"method {here.label!r} is another one here: "
                f"{_difference(spec.method.model_dump(), here.model_dump())}; give it another label"
            )
    if ours.study.tuned is not None:
        reason = "our study takes tuned hyper-parameters, and they have none for method"
        return refused | {r.run_id: f"{reason} {r.spec.method.label!r}" for r in unknown}
    what = "hyper-parameters or code of a method that is new here"
    return refused | _disagreeing(unknown, {}, _label, _entry_text, what)


def _label(record: RunRecord) -> Hashable:
    return record.spec.method.label


def _entry_text(record: RunRecord) -> str:
    return record.spec.method.model_dump_json()


def _other_data(theirs: Iterable[RunRecord], ours: _Ours) -> dict[str, str]:
    known = {_target(record): _fingerprint(record) for record in ours.records}
    return _disagreeing(theirs, known, _target, _fingerprint, "data fingerprint")


def _target(record: RunRecord) -> Hashable:
    return record.spec.target_name


def _fingerprint(record: RunRecord) -> str:
    return str(record.data.get("fingerprint"))


def _other_weights(theirs: Iterable[RunRecord], ours: _Ours) -> dict[str, str]:
    """Methods are compared from the same start: one hash for each (model, target, seed)."""
    known = {_start(record): record.initial_weights for record in ours.records}
    what = "hash of the initial weights"
    return _disagreeing(theirs, known, _start, lambda r: r.initial_weights, what)


def _start(record: RunRecord) -> Hashable:
    return record.spec.model_name, record.spec.target_name, record.spec.seed


def _disagreeing(
    theirs: Iterable[RunRecord],
    known: Mapping[Hashable, str],
    place: Place,
    value: Callable[[RunRecord], str],
    what: str,
) -> dict[str, str]:
    """Runs whose value is not that known for their place or, where none is, not all the same."""
    groups: dict[Hashable, list[RunRecord]] = defaultdict(list)
    for record in theirs:
        groups[place(record)].append(record)
    refused = {}
    for at, records in groups.items():
        values = {value(record) for record in records}
        for record in records:
            if at in known and value(record) != known[at]:
                refused[record.run_id] = (
                    f"{what}: {value(record)[:SHORT]} differs from ours, {known[at][:SHORT]}"
                )
            elif at not in known and len(values) > 1:
                refused[record.run_id] = (
                    f"{what}: their records do not agree, and ours have none to go by"
                )
    return refused


def require_same_figures(theirs: RunRecord, ours: RunRecord) -> None:
    """Refuse another result of a run that we have.

    Seconds and machines may differ; losses, steps and all else that is billed may not.

    Raises:
        RefusedError: naming the first figure that differs.
    """
    if _figures(theirs) != _figures(ours):
        difference = _difference(_figures(theirs), _figures(ours))
        raise RefusedError(f"is already here with other figures: {difference}")


def _figures(record: RunRecord) -> dict[str, Any]:
    shown = {"status", "stages", "parameters", "initial_weights"}
    content = record.model_dump(mode="json", include=shown)
    for stage in content["stages"]:
        del stage["cost"]["seconds"]
    content["stages"] = {stage["stage"]: stage for stage in content["stages"]}
    return content


def _difference(theirs: Any, ours: Any, at: str = "") -> str:
    """The first key below which two contents differ, and both values."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key in [*theirs, *(key for key in ours if key not in theirs)]:
            one, other = theirs.get(key), ours.get(key)
            if one != other:
                return _difference(one, other, f"{at}.{key}" if at else str(key))
    return f"{at} {theirs!r}, ours {ours!r}"
