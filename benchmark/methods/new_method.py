"""A commented file to start a method from."""

from __future__ import annotations

import keyword
import re
from importlib import resources
from pathlib import Path
from string import Template

from benchmark.core.errors import UserError, where

NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")


def write_method(name: str, folder: Path) -> Path:
    """Write ``folder/name.py``, a small method that passes the contract; its path.

    Raises:
        UserError: the name is unfit or taken, the file exists, the folder cannot be written.
    """
    if not NAME.fullmatch(name) or keyword.iskeyword(name):
        raise UserError(
            f"{name!r} cannot name a method: give lower-case letters, digits and _, a letter "
            "first, at most 60, such as hard_rows"
        )
    _require_free(name)
    file = folder / f"{name}.py"
    text = Template(_template()).substitute(
        name=name, title=name.replace("_", " ").capitalize(), class_name=_class_name(name)
    )
    try:
        with file.open("x", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError as error:
        raise UserError(f"{where(file)}there is such a file already: give another name") from error
    except OSError as error:
        raise UserError(f"{where(file)}cannot be written ({error.strerror})") from error
    return file


def _require_free(name: str) -> None:
    from benchmark.methods.registry import methods

    if name in methods():
        raise UserError(f"a method is called {name!r} already: give another name")


def _template() -> str:
    file = resources.files("benchmark.methods") / "method.py.txt"
    return file.read_text(encoding="utf-8")


def _class_name(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))
