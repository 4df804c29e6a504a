"""JSON that is not a record a line: one list of records, or records over several lines."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

LARGEST_RECORD = 1 << 28
"""Bytes of one record; a file that is one huge object does not fit into memory bounds."""
BLOCK_BYTES = 1 << 18
_BLANK = re.compile(r"[ \t\r\n\ufeff]*")
_BETWEEN = re.compile(r"[ \t\r\n\ufeff]*,?[ \t\r\n\ufeff]*")
_SHORTEST_CUT = 16
"""A value cut by the end of what is read fails at most so far before it, but within a text."""


class NotJsonError(ValueError):
    """No JSON values; ``line`` of the input, and the problem there."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(problem)
        self.line = line


def json_values(handle: BinaryIO, parser: json.JSONDecoder) -> Iterator[tuple[int, Any]]:
    """Line and value of each entry of the list that the input is, or of each value in a row.

    Memory holds one entry at a time.

    Raises:
        NotJsonError: the input is neither; UnicodeDecodeError: it is not UTF-8.
    """
    window = _Window(handle, parser)
    window.skip(_BLANK)
    listed = window.text.startswith("[", window.at)
    window.at += listed
    while True:
        window.skip(_BETWEEN)
        if listed and window.text.startswith("]", window.at):
            window.at += 1
            window.skip(_BLANK)
            if not window.at_end():
                raise NotJsonError(window.line(), "something follows the list")
            return
        if window.at_end():
            if listed:
                raise NotJsonError(window.line(), "the list is cut short")
            return
        yield window.line(), window.value()


def breaks_off(text: str, error: json.JSONDecodeError) -> bool:
    """Whether a text is no value because its end is missing."""
    return error.pos >= len(text) - _SHORTEST_CUT or "Unterminated" in error.msg


class _Window:
    """The part of the input that is looked at."""

    def __init__(self, handle: BinaryIO, parser: json.JSONDecoder) -> None:
        self.text = ""
        self.at = 0
        self._handle = handle
        self._parser = parser
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._line, self._counted = 1, 0
        self._ended = False

    def line(self) -> int:
        """Number of the line that ``at`` is in."""
        self._line += self.text.count("\n", self._counted, self.at)
        self._counted = self.at
        return self._line

    def at_end(self) -> bool:
        while self.at == len(self.text) and not self._ended:
            self._read(BLOCK_BYTES)
        return self.at == len(self.text)

    def skip(self, blank: re.Pattern[str]) -> None:
        while not self.at_end():
            found = blank.match(self.text, self.at)
            assert found is not None, "it matches nothing too"
            self.at = found.end()
            if self.at < len(self.text) or self._ended:
                return

    def value(self) -> Any:
        """The value that begins here, read as far as it goes."""
        while True:
            try:
                value, end = self._parser.raw_decode(self.text, self.at)
            except json.JSONDecodeError as error:
                if self._ended or not breaks_off(self.text, error):
                    line = self.line() + self.text.count("\n", self.at, error.pos)
                    raise NotJsonError(line, error.msg) from None
            else:
                # A number may go on behind what is read.
                if end < len(self.text) or self._ended:
                    self.at = end
                    return value
            if len(self.text) - self.at > LARGEST_RECORD:
                most = f"{LARGEST_RECORD >> 20} MiB"
                raise NotJsonError(self.line(), f"one value of over {most}: cut it up")
            self._read(max(BLOCK_BYTES, len(self.text) - self.at))

    def _read(self, size: int) -> None:
        self.line()
        self.text, self.at, self._counted = self.text[self.at :], 0, 0
        block = self._handle.read(size)
        self._ended = not block
        self.text += self._decoder.decode(block, final=self._ended)
