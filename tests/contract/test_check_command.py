"""`adaptbench check` and `adaptbench new-method`, as a user of the installed package meets them."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmark.cli.app import app
from benchmark.contract import Problem, findings
from benchmark.core.errors import UserError
from benchmark.core.tasks import task_names
from benchmark.methods.new_method import write_method
from benchmark.methods.registry import find_method
from tests.command_line import CommandLine

MODULE = """
from baselines.pretraining import Pretraining


class Installed(Pretraining):
    name = "installed"
    summary = "pretraining under another name"
"""


def install(folder: Path) -> None:
    """A third-party package with an entry point, as pip leaves it."""
    info = folder / "third_party-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: third-party\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[adaptbench.baselines]\ninstalled = third_party:Installed\n"
    )
    (folder / "third_party.py").write_text(MODULE)


@pytest.mark.long
def test_installed_package_is_found_and_checked(adaptbench: CommandLine) -> None:
    packages = adaptbench.folder / "packages"
    install(packages)
    adaptbench.environment["PYTHONPATH"] = str(packages)
    result = adaptbench("check", "installed")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "pretraining under another name" in result.stdout
    assert result.stdout.count(" ok ") == 10 * len(task_names())


def test_failing_file_is_reported_with_code_1(tmp_path: Path) -> None:
    text = MODULE + "    def batch(self, step):\n        return super().batch(0 * step)[:4]\n"
    file = tmp_path / "wrong.py"
    file.write_text(text)
    result = CliRunner().invoke(app, ["check", str(file), "--task", "language_modelling"])
    assert result.exit_code == 1
    said = " ".join(result.stdout.split())
    assert "TypeError: 'Batch' object is not subscriptable (wrong.py:9)" in said
    place = "on language_modelling"
    assert f"FAILED {file}: held_out_rows {place}, {file}: same_start {place}" in said


def test_new_method_says_what_to_do_next(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["new-method", "my_rows", "--folder", str(tmp_path)])
    assert result.exit_code == 0
    assert f"next: adaptbench check {tmp_path / 'my_rows.py'}" in result.stdout


def test_template_has_every_part_of_the_contract(problem: Problem, tmp_path: Path) -> None:
    method = find_method(str(write_method("every_part", tmp_path)))
    assert method.__name__ == "EveryPart"
    own = set(vars(method))
    assert {"prepare", "batch", "observe", "state", "summary"} <= own
    assert [f for f in findings(method, problem) if not f.passed] == []


@pytest.mark.long
def test_check_says_on_which_tasks_a_method_was_checked() -> None:
    asked = ["check", "dsir", "--task", "translation", "--task", "images"]
    result = CliRunner().invoke(app, asked)
    assert result.exit_code == 0, result.stdout
    assert "not checked on images: reads text" in result.stdout
    assert "translation" in result.stdout
    assert result.stdout.count(" ok ") == 10


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Bad-Name", "'Bad-Name' cannot name a method: give lower-case letters"),
        ("class", "'class' cannot name a method"),
        ("../up", "cannot name a method"),
        ("dds", "a method is called 'dds' already"),
        ("there", "there.py: there is such a file already"),
    ],
)
def test_unfit_names_are_refused(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "there.py").write_text("mine")
    with pytest.raises(UserError, match=message) as caught:
        write_method(name, tmp_path)
    assert "\n" not in str(caught.value)
    assert (tmp_path / "there.py").read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give names of methods, .py files, or --all"),
        (["nowhere.py"], "nowhere.py: no method can be read from this file"),
        (["dds", "--task", "image"], r"unknown task 'image' \(did you mean 'images'\?\)"),
        (["ddss"], r"unknown method 'ddss' \(did you mean 'dds'\?\)"),
    ],
)
def test_check_of_nothing_is_refused(arguments: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        CliRunner().invoke(app, ["check", *arguments], catch_exceptions=False)
