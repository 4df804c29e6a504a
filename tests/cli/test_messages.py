"""What the commands print: one line, whatever names it holds; and nobody need read to the end."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from benchmark.cli.messages import fail, show
from benchmark.core.spelling import visible
from benchmark.report.tables.templates import fill
from tests.command_line import CommandLine
from tests.report.conftest import make_study

STEERING = "\x1b[31mred\x07 \u202eturned\nline \x9b2"


def test_a_name_does_not_steer_the_terminal() -> None:
    assert visible(STEERING) == "[U+001B][31mred[U+0007] [U+202E]turned\nline [U+009B]2"
    for name in ("two\n\tlines", "עברית", "👩\u200d👧", "e\u0301", "plain"):
        assert visible(name) == name


def test_a_message_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        fail(STEERING, 2)
    show(STEERING)
    out, err = capsys.readouterr()
    assert err == "adaptbench: [U+001B][31mred[U+0007] [U+202E]turned line [U+009B]2\n"
    assert "\x1b" not in out


def test_a_page_holds_no_sign_that_steers() -> None:
    study: Any = make_study(description=f"<b>{STEERING}")
    page = fill("table.html.j2", study=study, tables=[], footnotes=[STEERING], rules=[])
    assert "&lt;b&gt;[U+001B]" in page
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(page)


@pytest.mark.parametrize("command", ["list", "--help"])
def test_a_reader_may_leave(adaptbench: CommandLine, command: str) -> None:
    process = adaptbench.start(command)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(60) in {0, 1, 141}


def test_a_full_disk_behind_the_output_is_no_internal_error(adaptbench: CommandLine) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(
            [*adaptbench.command, "list"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env=adaptbench.environment,
        )
    assert done.returncode == 1
    assert done.stderr == "adaptbench: No space left on device; --debug shows where\n"
