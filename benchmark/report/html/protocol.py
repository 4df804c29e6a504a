"""What a study is, from its file and its records: models, targets, methods, budget and data."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel

from benchmark.report.results.inputs import StudyResults
from benchmark.report.results.rules import HASH_LENGTH
from benchmark.report.tables.grid import Grid, grid
from benchmark.study.records import RunRecord

NOT_YET = "no run has ended"
SPLITS = ("train", "valid", "test")


def protocol_grids(results: StudyResults) -> list[Grid]:
    """Everything that the study fixes for all methods, and the methods."""
    return [
        _models(results),
        _targets(results),
        _methods(results),
        _settings("Training", results.study.training),
        _settings("Fine-tuning, on the target sample", results.study.fine_tuning),
        _data(results),
        _duplicates(results),
        _protocols(results),
    ]


def _models(results: StudyResults) -> Grid:
    sizes = {record.spec.model_name: record.parameters for record in results.records}
    rows = [
        (name, compact(model.model_dump(mode="json", exclude_none=True)), sizes.get(name, NOT_YET))
        for name, model in results.study.models.items()
    ]
    return grid("Models", ("model", "architecture", "parameters"), rows, ("parameters",))


def _targets(results: StudyResults) -> Grid:
    data = _data_by_target(results)
    rows = []
    for name, target in results.study.targets.items():
        found = data.get(name, {})
        source = found.get("sources", {}).get("target") or compact(
            target.source.model_dump(mode="json", exclude_none=True)
        )
        sizes = found.get("rows", {})
        counts = [sizes.get(f"target_{split}", getattr(target, split)) for split in SPLITS]
        rows.append((name, source, *counts, sizes.get("generic", NOT_YET)))
    columns = ("target", "source", *(f"{split} rows" for split in SPLITS), "generic rows")
    return grid("Targets", columns, rows, columns[2:])


def _methods(results: StudyResults) -> Grid:
    rows = [
        (entry.label, entry.method, compact(entry.hyperparameters) if entry.hyperparameters else "")
        for entry in results.study.methods
    ]
    columns = ("label", "method", "hyper-parameters, as the study states them")
    return grid("Methods", columns, rows)


def _settings(title: str, settings: BaseModel) -> Grid:
    rows = [
        (name.replace("_", " "), f"{value:,}" if isinstance(value, int) else f"{value:g}")
        for name, value in settings.model_dump().items()
    ]
    return grid(title, ("setting", "value"), rows, ("value",))


NEAR_RULES = {
    "keep": "Near-duplicates are not removed",
    "remove": "No row is trained on that resembles a held-out row, or whose document resembles a "
    "held-out document: Jaccard similarity of token 5-grams, estimated by MinHash, from .8 on",
}


def _data(results: StudyResults) -> Grid:
    settings = results.study.data.model_dump(mode="json")
    described = [
        record.data["sources"]["generic"] for record in results.records if "sources" in record.data
    ]
    generic = described[0] if described else compact(settings["generic"])
    rows = [("generic corpus", generic)]
    rows += [(k.replace("_", " "), str(v)) for k, v in settings.items() if k != "generic"]
    return grid("Data", ("setting", "value"), rows)


def _duplicates(results: StudyResults) -> Grid:
    rows = [
        (target, split.replace("_", " "), kind, other.replace("_", " "), count)
        for target, data in _data_by_target(results).items()
        for kind, removed in _removed(data).items()
        for split, by_other in removed.items()
        for other, count in by_other.items()
    ]
    near = results.study.data.near_duplicates
    return grid(
        "Duplicates removed",
        ("target", "rows removed from", "because they", "rows of", "rows"),
        rows,
        ("rows",),
        rule=f"No row is in two splits. {NEAR_RULES[near]}",
    )


def _removed(data: dict[str, Any]) -> dict[str, dict[str, dict[str, int]]]:
    """Rows removed by why, by the split that lost them and by the other split."""
    near = data.get("near_duplicates", {}).get("removed", {})
    return {"equal": data.get("duplicates_removed", {}), "resemble": near}


def _protocols(results: StudyResults) -> Grid:
    hashes = {
        (record.spec.model_name, record.spec.target_name): (
            record.protocol[:HASH_LENGTH],
            str(record.data["fingerprint"])[:HASH_LENGTH],
        )
        for record in results.records
    }
    rows = [(*pair, *hashes.get(pair, (NOT_YET, NOT_YET))) for pair in results.pairs]
    return grid(
        "Hashes",
        ("model", "target", "protocol", "data"),
        rows,
        rule="Only runs of equal protocol and data are compared",
    )


def _data_by_target(results: StudyResults) -> dict[str, dict[str, Any]]:
    """What the records say of the data, by target in the study's order."""
    found: dict[str, RunRecord] = {r.spec.target_name: r for r in results.records}
    return {name: found[name].data for name in results.study.targets if name in found}


def compact(content: Any) -> str:
    """Configuration in one line."""
    return (
        json.dumps(content, ensure_ascii=False).replace('"', "").removeprefix("{").removesuffix("}")
    )
