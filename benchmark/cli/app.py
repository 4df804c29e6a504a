"""The command ``adaptbench``: every command by name, each loaded when it is called."""

from __future__ import annotations

import os
import sys
import warnings
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group

from benchmark import __version__
from benchmark.cli.encoding import substitute_unknown_signs
from benchmark.cli.messages import fail
from benchmark.core.errors import UserError
from benchmark.core.spelling import visible

COMMANDS = {
    "run": {
        "run": "Run what a study lacks, then print its table and draw its figures.",
        "tune": "Tune all methods with equally many trials on valid, then run the study with the "
        "choices.",
    },
    "timing": {
        "time": "Time the steps of every method of a study, alone and in turn.",
    },
    "report": {
        "table": "Print a study's table and write its tables from the records.",
        "plot": "Draw every figure of a study, as PNG and as PDF, from its records.",
        "report": "Write everything about a study as one HTML file, from its records.",
        "compare": "Say whether method A is better than B: on what, by how much, how sure.",
        "selection": "Print and draw how often each method trained on rows of a provenance domain.",
    },
    "data": {
        "data build": "Build the token rows and splits of every target of a study.",
        "data show": "Sizes, removed duplicates and example rows of a study's data.",
    },
    "methods": {
        "list": "Methods, model presets, embedded corpora and studies.",
        "check": "Check that methods keep the contract: same start, no peeking, every cost charged "
        "...",
        "new-method": "Write NAME.py, a commented method that passes the contract, to be changed.",
    },
    "diagnose": {
        "diagnose": "Tell from a target's train sample, before training, whether online selection "
        "can help.",
    },
    "rule": {
        "rule fit": "Fit the rule to the measured gains of a study's targets.",
        "rule score": "Measure how well a rule predicts the gains of a study's targets.",
    },
    "recommend": {
        "recommend": "Tell which method to train on a target, by a rule fitted to finished "
        "studies.",
        "recommend fit": "Fit a rule of recommendations to what finished studies gained.",
        "recommend score": "Measure how good recommendations are on sources that are held out.",
    },
    "cluster": {
        "submit": "Submit what a study lacks: nothing that is done, running, queued, failed or "
        "lost.",
        "status": "Where each run of a study stands, judged from the files that the runs leave.",
        "logs": "Print what a run's last attempt has logged.",
        "retry": "Submit failed and lost runs again; what ran out of memory gets twice as much.",
        "cancel": "End a study's jobs; running ones save first.",
    },
    "records": {
        "collect": "Write all records of a study as one Parquet and one CSV file.",
        "import": "Take a colleague's records into a study; what differs in protocol or data "
        "stays out.",
    },
    "export": {
        "export": "Write a run's model as a Hugging Face folder: weights, configuration, "
        "tokenizer.",
    },
    "paper": {
        "paper": "Regenerate the paper's language-model comparison from its published curves.",
    },
}
"""By module of this package: its commands, and the first line of the help of each."""
GROUPS = {
    "data": "Build and look at token rows.",
    "rule": "The diagnostic's decision rule.",
    "recommend": COMMANDS["recommend"]["recommend"],
}


def load_command(path: str) -> Any:
    """The command called ``path``, as in ``run`` or ``rule fit``, with its options."""
    module = next(module for module, commands in COMMANDS.items() if path in commands)
    commands = get_group(import_module(f"benchmark.cli.{module}").app).commands
    return commands[path.split()[-1]]


class LazyGroup(TyperGroup):
    """Shows commands by what `COMMANDS` says of them; loads the one that is called."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        groups, self.commands = self.commands, {}
        for commands in COMMANDS.values():
            for path, line in commands.items():
                group, _, name = path.rpartition(" ")
                if group == (self.name or ""):
                    self.add_command(TyperCommand(name, help=line))
        self.commands.update(groups)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Name, command and its arguments; none while a shell completes what is no command."""
        name, known, rest = super().resolve_command(ctx, args)
        path = f"{self.name or ''} {name}".strip()
        if name and (not isinstance(known, LazyGroup) or known.is_command_too(path, rest)):
            known = load_command(path)
        return name, known, rest

    def is_command_too(self, path: str, rest: list[str]) -> bool:
        """Whether ``path`` is also a command, and none of its commands is called."""
        own = any(path in commands for commands in COMMANDS.values())
        return own and (not rest or rest[0] not in self.commands)


app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    epilog="Example: adaptbench run mini --jobs 2",
)
for group, line in GROUPS.items():
    app.add_typer(typer.Typer(), name=group, cls=LazyGroup, no_args_is_help=True, help=line)


def _print_version(asked: bool) -> None:
    if asked:
        print(f"adaptbench {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Compare ways of adapting a model to a target domain, under one protocol."""


def _warn(message: Warning | str, *_: object, **__: object) -> None:
    print(f"adaptbench: warning: {visible(str(message))}", file=sys.stderr)


def main() -> None:
    """Entry point: one clear line for an error, a traceback only with ``--debug``."""
    substitute_unknown_signs()
    warnings.showwarning = _warn
    debug = "--debug" in sys.argv[1:]
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    try:
        app(arguments, prog_name="adaptbench")
    except UserError as error:
        if debug:
            raise
        fail(str(error), 2)
    except BrokenPipeError:
        # Whoever read our output has gone; there is nobody left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except OSError as error:  # such as a full disk behind standard output
        if debug:
            raise
        place = "" if error.filename is None else f"{error.filename}: "
        fail(f"{place}{error.strerror or error}; --debug shows where", 1)
    except Exception as error:
        if debug:
            raise
        fail(f"internal error: {type(error).__name__}: {error}; --debug shows where", 1)
