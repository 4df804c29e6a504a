"""Methods in files of their own, outside any package: ``method: ./my_method.py``."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

from benchmark.core.errors import UserError

SNAPSHOT_VARIABLE = "ADAPTBENCH_METHOD_FILES"
"""Names a folder of method files, each called by the digest of its code."""


def names_file(method: str) -> bool:
    """Whether a study names its method by file."""
    return method.endswith(".py")


def label_of_file(method: str) -> str:
    """What tables and folders call a method in a file."""
    return re.sub(r"^\.|[^A-Za-z0-9_.+]", "_", Path(method).stem)[:60]


def file_of(method: str, code: str) -> Path:
    """Where to read a method that a study names by file: its copy, if the runs have been given one.

    ``code`` is the digest of the file that the runs were planned with, empty if none was taken.
    """
    folder = os.environ.get(SNAPSHOT_VARIABLE)
    copy = Path(folder) / f"{code}.py" if folder and code else None
    return copy if copy is not None and copy.exists() else Path(method)


def code_digest(file: Path) -> str:
    """SHA-256 of the method's file, which is part of the key of its runs."""
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise UserError(
            f"{file}: no method can be read from this file ({error.strerror}); paths are relative "
            "to where the command runs"
        ) from error


def load_module(file: Path) -> ModuleType:
    """The file, executed as a module of its own.

    Raises:
        UserError: it cannot be read, or what it does on import fails.
    """
    name = f"adaptbench_method_{code_digest(file)[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_loader(name, _SourceLoader(name, str(file.absolute())))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Pydantic resolves annotations through it.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever the user's file raises
        del sys.modules[name]
        raise UserError(f"{file}: cannot be imported: {type(error).__name__}: {error}") from error
    return module


class _SourceLoader(SourceFileLoader):
    """Never takes cached bytecode, which may be that of the file before its last change."""

    def get_code(self, fullname: str) -> CodeType | None:
        code: CodeType = self.source_to_code(self.get_data(self.path), self.path)
        del fullname
        return code
