"""What the source of a method says before it is imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmark.core.errors import UserError
from benchmark.methods import source
from benchmark.methods.registry import PrivateImportWarning, find_method, methods

METHOD = """
{imports}
from baselines.pretraining import Pretraining


class Mine(Pretraining):
    name = "mine"
    summary = "generic rows"
"""


def test_declared_styles_are_those_of_the_methods() -> None:
    declared = {
        name: source.Style(*method.style)  # type: ignore[arg-type]
        for name, method in methods().items()
        if method.style is not None
    }
    assert source.declared_styles() == declared
    assert len(set(declared.values())) == len(declared)


def test_reading_styles_imports_no_method() -> None:
    code = (
        "import sys; from benchmark.methods.source import declared_styles; declared_styles(); "
        "print([m for m in ('torch', 'benchmark.api') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "style", ['("red", "s", "-")', '("#0072B2", "?", "-")', '("#0072B2", "s")', "OTHER", "None"]
)
def test_a_bad_style_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, style: str
) -> None:
    file = tmp_path / "mine.py"
    file.write_text(f'class Mine:\n    name = "mine"\n    style = {style}\n', encoding="utf-8")
    monkeypatch.setattr(source, "_registered_files", lambda: [file])
    with pytest.raises(UserError, match=r"mine\.py: Mine: style: must be three literal strings"):
        source.declared_styles.__wrapped__()


@pytest.mark.parametrize(
    "imports", ["from benchmark.models.influence import influence", "import benchmark.core.errors"]
)
def test_a_private_import_gets_a_warning_that_names_the_door(tmp_path: Path, imports: str) -> None:
    file = tmp_path / "mine.py"
    file.write_text(METHOD.format(imports=imports), encoding="utf-8")
    with pytest.warns(PrivateImportWarning, match=r"what a method needs from benchmark\.api"):
        find_method(str(file))


@pytest.mark.filterwarnings("error")
def test_the_door_gets_no_warning(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(METHOD.format(imports="from benchmark.api import Task"), encoding="utf-8")
    assert find_method(str(file)).name == "mine"
