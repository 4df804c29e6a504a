"""A colleague's records in our study: all of them or, with the reason, none of a bad one."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from benchmark.core.errors import UserError
from benchmark.methods.registry import resolve
from benchmark.report.results.inputs import load_results
from benchmark.report.results.numbers import make_numbers
from benchmark.report.tables.write import csv_table, markdown_table
from benchmark.running.local import Settings, run_study
from benchmark.running.merging.places import differ_in_paths_only, same_method
from benchmark.running.merging.plan import carry_out, plan_import
from benchmark.study.records import load_records, read_index, write_index
from benchmark.study.study import MethodEntry, Study
from tests.command_line import CommandLine

MINI = Path(__file__).parents[2] / "results" / "published" / "mini"
OURS, THEIRS = ("pretraining", "mixing", "target_only"), ("classifier", "dds", "soba", "anograd")
Change = Callable[[dict[str, Any]], None]


def part(folder: Path, methods: Collection[str]) -> Path:
    """The published study with these methods only, their settings as if the file had them."""
    study = read_index(MINI).study
    entries = {run.method.label: run.method for run in study.runs() if run.method.label in methods}
    smaller = study.model_copy(update={"methods": tuple(entries.values()), "tuned": None})
    write_index(folder, smaller)
    for run in smaller.runs():
        target = folder / "runs" / run.run_id
        target.mkdir(parents=True)
        for file in (MINI / "runs" / run.run_id).iterdir():
            shutil.copyfile(file, target / file.name)
    return folder


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    return part(tmp_path / "results" / "mini", OURS)


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    return part(tmp_path / "colleague", THEIRS)


def content_of(folder: Path) -> dict[str, bytes]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def record_file(folder: Path, part_of_name: str = "medical_hpo-dds") -> Path:
    (file,) = folder.glob(f"runs/*{part_of_name}*/record.json")
    return file


def change(file: Path, alter: Change) -> None:
    content = json.loads(file.read_text(encoding="utf-8"))
    alter(content)
    file.write_text(json.dumps(content), encoding="utf-8")


def test_two_parts_make_the_tables_of_the_whole(ours: Path, theirs: Path) -> None:
    carry_out(plan_import(theirs, ours))
    merged, whole = (make_numbers(load_results(folder)) for folder in (ours, MINI))
    # The parts do not know how their settings were chosen.
    published = (MINI / "table.md").read_text().splitlines(keepends=True)
    untold = [line for line in published if not line.startswith("- hyper-parameters:")]
    assert markdown_table(merged) == "".join(untold)
    assert markdown_table(whole) == "".join(published)
    assert csv_table(merged) == csv_table(whole)
    copied = content_of(theirs)
    assert {k: v for k, v in content_of(ours).items() if k in copied and k != "study.json"} == {
        k: v for k, v in copied.items() if k != "study.json"
    }


def test_the_command_says_what_it_did_and_is_done_only_once(
    adaptbench: CommandLine, ours: Path, theirs: Path
) -> None:
    before = content_of(ours)
    dry = adaptbench("import", theirs, "--into", "mini", "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert "8 runs would be imported" in dry.stderr
    assert content_of(ours) == before
    done = adaptbench("import", theirs, "--into", "mini")
    assert done.returncode == 0, done.stderr
    assert "8 runs imported" in done.stderr
    assert "methods new to the study: classifier, dds, soba, anograd" in done.stderr
    again = adaptbench("import", theirs, "--into", "mini")
    assert "0 runs imported into results/mini, 8 already there, 0 refused" in again.stderr


@pytest.mark.usefixtures("ours")
def test_the_command_lists_what_it_refuses_and_imports_the_rest(
    adaptbench: CommandLine, theirs: Path
) -> None:
    change(record_file(theirs), lambda record: record.update(schema_version=9))
    result = adaptbench("import", theirs, "--into", "mini")
    assert result.returncode == 1
    assert "schema_version: 9 is not ours, 1" in result.stderr
    assert "7 runs imported into results/mini, 0 already there, 1 refused" in result.stderr


def set_in(*path: str | int, value: Any) -> Change:
    def alter(record: dict[str, Any]) -> None:
        inner: Any = record
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = value

    return alter


BAD: dict[str, tuple[Change, str]] = {
    "other schema": (set_in("schema_version", value=9), "schema_version: 9 is not ours, 1"),
    "unknown key": (set_in("extra", value=1), "unknown key 'extra'"),
    "no status": (lambda record: record.pop("status"), "status: is missing"),
    "key": (set_in("key", value="0" * 64), "key: '0+' does not match the spec"),
    "protocol": (set_in("protocol", value="0" * 64), "protocol: '0+' does not match the spec"),
    "spec changed": (set_in("spec", "training", "steps", value=9), "key: .* does not match"),
    "run id": (set_in("run_id", value="../../other"), "run_id: .* does not match the spec"),
    "data": (set_in("data", "fingerprint", value="f" * 64), "data fingerprint: f+ differs from"),
    "start": (set_in("initial_weights", value="f" * 64), "initial weights: f+ differs from ours"),
    "loss": (set_in("stages", 0, "test_loss", value=float("nan")), "must be positive and finite"),
    "stages": (set_in("stages", value=[]), "stages: none of a run that is done"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_record_is_refused_with_its_reason(ours: Path, theirs: Path, case: str) -> None:
    alter, reason = BAD[case]
    file = record_file(theirs)
    change(file, alter)
    plan = plan_import(theirs, ours)
    assert list(plan.refused) == [file.parent.name]
    assert re.search(reason, plan.refused[file.parent.name])
    assert len(plan.new) == 7


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "lacks step 200"),
        ("{}\n", "line 1: not a measurement"),
        ("[", "line 1"),
        (
            '{"stage": "trained", "step": 9, "valid_loss": 2, "flops": 1, "sampled_rows": [3, 3]}',
            "line 1: not a measurement (ValueError: sampled_rows",
        ),
    ],
)
def test_metrics_that_are_not_whole_are_refused(
    ours: Path, theirs: Path, text: str, reason: str
) -> None:
    file = record_file(theirs)
    file.with_name("metrics.jsonl").write_text(text, encoding="utf-8")
    assert reason in plan_import(theirs, ours).refused[file.parent.name]


def test_another_protocol_is_refused_and_what_differs_is_named(ours: Path, tmp_path: Path) -> None:
    study = read_index(MINI).study
    longer = study.training.model_copy(update={"steps": 900})
    run = study.model_copy(update={"training": longer}).runs()[0]
    folder = tmp_path / "colleague" / "runs" / run.run_id
    shutil.copytree(record_file(MINI, "medical_hpo-pretraining").parent, folder)
    spec = {"spec": run.model_dump(mode="json"), "run_id": run.run_id}
    hashes = {"key": run.key, "protocol": run.protocol}
    change(folder / "record.json", lambda record: record.update({**spec, **hashes}))
    plan = plan_import(tmp_path / "colleague", ours)
    assert "differs from ours" in plan.refused[run.run_id]
    assert "training.steps 900, ours 200" in plan.refused[run.run_id]


def test_other_figures_of_a_run_that_we_have_are_refused(ours: Path, tmp_path: Path) -> None:
    again = part(tmp_path / "again", OURS)
    file = record_file(again, "medical_hpo-mixing")
    change(file, set_in("stages", 0, "test_loss", value=1.5))
    change(
        record_file(again, "shakespeare-mixing"), set_in("stages", 0, "cost", "seconds", value=1)
    )
    plan = plan_import(again, ours)
    assert (
        "already here with other figures: stages.trained.test_loss 1.5"
        in (plan.refused[file.parent.name])
    )
    assert len(plan.present) == 5


def test_a_failure_half_way_takes_back_what_was_written(
    ours: Path, theirs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise UserError("study.json: cannot be written: No space left on device")

    before = sorted(ours.glob("runs/*/record.json"))
    plan = plan_import(theirs, ours)
    monkeypatch.setattr("benchmark.running.merging.plan.write_index", full)
    with pytest.raises(UserError, match="No space left"):
        carry_out(plan)
    assert sorted(ours.glob("runs/*/record.json")) == before


def test_a_folder_without_records_is_named(ours: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no records here"):
        plan_import(tmp_path / "nothing", ours)


@dataclass(frozen=True)
class Places:
    """Results of ours and of a colleague's who keeps the same files elsewhere."""

    ours: Path
    theirs: Path


@pytest.fixture
def places(content: dict[str, Any], corpus: tuple[Path, Path], tmp_path: Path) -> Places:
    """Both have trained; the colleague a method more."""
    generic, target = corpus
    folders = {}
    for who, methods in {"ours": ["pretraining"], "theirs": ["pretraining", "target_only"]}.items():
        home = tmp_path / who
        shutil.copytree(generic, home / "generic")
        shutil.copy(target, home / "target.txt")
        study = content | {
            "data": content["data"] | {"generic": {"files": str(home / "generic")}},
            "targets": {
                "harbour": content["targets"]["harbour"] | {"source": f"{home}/target.txt"}
            },
            "methods": methods,
        }
        plan = resolve(Study.model_validate(study), tmp_path / "cache")
        settings = Settings(results=home / "results", cache=tmp_path / "cache")
        outcome = run_study(plan, settings, lambda *_: None, lambda *_: None)
        assert len(outcome.done) == len(methods)
        folders[who] = home / "results"
    return Places(**folders)


def test_records_of_the_same_data_come_from_another_place(places: Places) -> None:
    plan = plan_import(places.theirs, places.ours)
    assert not plan.refused
    (mine,) = (run.run_id for run in read_index(places.ours).study.runs())
    assert plan.present == (mine,)
    carry_out(plan)
    ours = load_records(places.ours)
    assert [record.spec.method.label for record in ours] == ["pretraining", "target_only"]
    assert len({record.protocol for record in ours}) == 1
    assert [record.key for record in ours] == [record.spec.key for record in ours]
    assert [record.run_id for record in ours] == list(read_index(places.ours).runs)
    figures = {record.spec.method.label: record.stages for record in load_records(places.theirs)}
    assert ours[1].stages == figures["target_only"]
    again = plan_import(places.theirs, places.ours)
    assert (len(again.new), len(again.present), again.refused) == (0, 2, {})
    other = "f" * 64
    change(record_file(places.theirs, "target_only"), set_in("data", "fingerprint", value=other))
    (reason,) = plan_import(places.theirs, places.ours).refused.values()
    assert reason.startswith("data fingerprint: ffffffff differs from ours")
    for file in places.ours.glob("runs/*/record.json"):
        file.unlink()
    (*_, reason) = plan_import(places.theirs, places.ours).refused.values()
    assert "its data lies elsewhere" in reason
    assert "run one first" in reason


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"files": ["/a/x.txt"]}, {"files": ["b/x.txt"]}, True),
        ({"files": ["x.txt"]}, {"files": ["x.txt"], "text_field": "body"}, False),
        ({"files": ["x.txt"]}, {"embedded": "kjv"}, False),
        ({"embedded": "kjv"}, {"embedded": "shakespeare"}, False),
        ({"dataset": "a/b"}, {"dataset": "c/b"}, False),
        ({"dataset": "/a/b"}, {"dataset": "./c/b"}, True),
        (
            {"dataset": "json", "data_files": ["/a/*.jsonl"]},
            {"dataset": "json", "data_files": ["b/*.jsonl"]},
            True,
        ),
        (
            {"mixture": {"x": {"source": {"files": ["/a"]}, "megabytes": 1}}},
            {"mixture": {"x": {"source": {"files": ["/b"]}, "megabytes": 1}}},
            True,
        ),
        (
            {"mixture": {"x": {"source": {"files": ["/a"]}, "megabytes": 1}}},
            {"mixture": {"x": {"source": {"files": ["/b"]}, "megabytes": 2}}},
            False,
        ),
    ],
)
def test_only_paths_of_files_may_differ(
    content: dict[str, Any], one: dict[str, Any], other: dict[str, Any], same: bool
) -> None:
    runs = [
        Study.model_validate(content | {"data": {"width": 48, "generic": source}}).runs()[0]
        for source in (one, other)
    ]
    assert differ_in_paths_only(*runs) is same


def test_a_method_in_a_file_is_known_by_its_code() -> None:
    one = MethodEntry(method="a/mine.py", code="0" * 64)
    assert same_method(one, MethodEntry(method="/b/mine.py", code="0" * 64))
    assert not same_method(one, MethodEntry(method="/b/mine.py", code="1" * 64))
    assert not same_method(one, MethodEntry(method="/b/mine.py", code="0" * 64, label="other"))
    changed = MethodEntry(method="/b/mine.py", code="0" * 64, hyperparameters={"rate": 1})
    assert not same_method(one, changed)
    assert not same_method(MethodEntry(method="dds"), MethodEntry(method="soba", label="dds"))
