"""A method in a file of its own: loading, refusing, and its part in the key of a run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmark.core.errors import UserError
from benchmark.methods.registry import check_methods, find_method, method_of, resolve
from benchmark.study.records import read_record
from benchmark.study.study import RunSpec, Study
from tests.command_line import CommandLine

WriteStudy = Callable[[dict[str, Any]], Path]

METHOD = """
from baselines.pretraining import Pretraining


class Mine(Pretraining):
    name = "mine"
    summary = "{summary}"
"""


def write(folder: Path, text: str, name: str = "mine.py") -> str:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return str(file)


def run_of(content: dict[str, Any], method: str) -> RunSpec:
    return resolve(Study.model_validate(content | {"methods": [method]})).runs()[0]


def test_label_is_the_name_of_the_file(content: dict[str, Any], tmp_path: Path) -> None:
    run = run_of(content, write(tmp_path, METHOD.format(summary="a"), "my-rows v2.py"))
    assert run.method.label == "my_rows_v2"
    assert method_of(run.method).name == "mine"


def test_key_depends_on_the_code(content: dict[str, Any], tmp_path: Path) -> None:
    first = run_of(content, write(tmp_path, METHOD.format(summary="a")))
    second = run_of(content, write(tmp_path, METHOD.format(summary="b")))
    assert method_of(second.method).summary == "b"
    assert first.key != second.key
    assert RunSpec.model_validate_json(second.model_dump_json()) == second
    with pytest.raises(UserError, match=r"mine\.py has changed since these runs were planned"):
        method_of(first.method)


def test_key_of_a_registered_method_does_not(content: dict[str, Any]) -> None:
    assert "code" not in run_of(content, "pretraining").model_dump()["method"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", "exactly one complete subclass of Baseline .*; found: none"),
        (METHOD + METHOD.replace("Mine", "Other"), "found: Mine, Other"),
        ("def broken(:", "cannot be imported: SyntaxError"),
        ("import no_such_package", "cannot be imported: ModuleNotFoundError: No module named"),
        (
            "from benchmark.api.baseline import Baseline\n"
            "class Mine(Baseline):\n    def batch(self, step): ...",
            "Mine has no name",
        ),
    ],
)
def test_unfit_files_are_refused(
    content: dict[str, Any], tmp_path: Path, text: str, message: str
) -> None:
    file = write(tmp_path, text)
    with pytest.raises(UserError, match=message) as caught:
        check_methods(Study.model_validate(content | {"methods": [file]}))
    assert "\n" not in str(caught.value)
    assert file in str(caught.value)


def test_a_file_may_change_between_calls(tmp_path: Path) -> None:
    """Within one second and at the same length, where cached bytecode would be stale."""
    for summary in ("a", "b", "c"):
        assert find_method(write(tmp_path, METHOD.format(summary=summary))).summary == summary
    assert list(tmp_path.glob("__pycache__")) == []


@pytest.mark.long
def test_study_with_a_file(
    adaptbench: CommandLine, content: dict[str, Any], write_study: WriteStudy
) -> None:
    study = write_study(content | {"methods": ["./mine.py"]})
    for summary in ("a", "b"):
        write(adaptbench.folder, METHOD.format(summary=summary))
        result = adaptbench("run", study, "--no-report")
        assert result.returncode == 0, result.stderr
        assert "1 run now" in result.stderr
    results = adaptbench.folder / "results" / "tiny"
    records = [read_record(results, run.name) for run in (results / "runs").iterdir()]
    assert {record.status for record in records if record} == {"done"}
    assert len({record.key for record in records if record}) == 2
