"""Study files: found by path or by name, read and validated."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from benchmark.core.config_file import load_config
from benchmark.core.errors import UserError, unknown
from benchmark.data.config import UNSAID
from benchmark.study.chosen import Chosen
from benchmark.study.study import Study
from benchmark.tasks import task_kind


def embedded_studies() -> dict[str, Path]:
    """Studies that come with the package, by name."""
    folder = Path(str(resources.files("benchmark.study"))) / "embedded"
    return {file.stem: file for file in sorted(folder.glob("*.yaml"))}


def find_study(name: str) -> Path:
    """The file of a study given by path or by the name of an embedded one."""
    file = Path(name)
    studies = embedded_studies()
    if name in studies and file.is_file():
        raise UserError(
            f"{name}: is an embedded study and also a file here: write ./{name} for the file, or "
            "rename it for the embedded study"
        )
    if name not in studies and (file.suffix in {".yaml", ".yml"} or file.exists()):
        if not file.is_file():
            raise UserError(f"{file}: no such study file; embedded: {', '.join(studies)}")
        return file
    if name not in studies:
        raise unknown("study", name, [*studies, "or a path to a .yaml file"])
    return studies[name]


def load_study(file: Path) -> Study:
    """Read and validate a study file, with what it asks for by saying nothing.

    Raises:
        UserError: naming the file, the key, the bad value and what is valid.
    """
    study = load_config(file, Study, "a study")
    if isinstance(study.tuned, Path) and file in embedded_studies().values():
        study = study.model_copy(update={"tuned": file.parent / study.tuned})
    # Not defaults of the model: in records and indices, nothing said means what it always has.
    unsaid = {key: UNSAID[key] for key in UNSAID.keys() - study.data.model_fields_set}
    if not task_kind(study.data).near_duplicates:
        unsaid.pop("near_duplicates", None)
    data = study.data.model_copy(update=unsaid)
    return study.model_copy(update={"data": data})


def load_chosen(file: Path) -> Chosen:
    """Read and validate a file of chosen hyper-parameters.

    Raises:
        UserError: there is no such file; or naming the file, the key and the bad value.
    """
    if not file.is_file():
        raise UserError(f"tuned: {file}: no such file; `adaptbench tune` writes one")
    return load_config(file, Chosen, "a file of chosen hyper-parameters")
