"""Records of Parquet and Arrow files: the columns that are asked for, and no others."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmark.core.errors import UserError
from benchmark.core.spelling import spelled
from benchmark.data.opening import one_line
from benchmark.data.source import FilesSource
from benchmark.data.text import Tally

RECORDS_A_BATCH = 256

Record = dict[str, Any]
Records = Iterator[tuple[str, Record]]


def parquet_records(path: Path, choice: FilesSource, tally: Tally) -> Records:
    """Place and record of each row; a record holds the text and the domain by their full names."""
    import pyarrow
    import pyarrow.parquet

    try:
        # A buffer makes Arrow read pages as they are needed instead of whole column chunks.
        # A handle, since Arrow takes no file name that is not UTF-8.
        with path.open("rb") as handle:
            file = pyarrow.parquet.ParquetFile(handle, buffer_size=1 << 20)
            fields = _fields(file.schema_arrow, choice, spelled(path), tally)
            columns = sorted({steps[0] for _, steps in fields})
            batches = file.iter_batches(RECORDS_A_BATCH, columns=columns, use_threads=False)
            yield from _records(batches, fields, path)
    except pyarrow.ArrowException as error:
        raise UserError(
            f"{spelled(path)}: not a readable Parquet file: {one_line(error)}"
        ) from None


def arrow_records(path: Path, choice: FilesSource, tally: Tally) -> Records:
    """As `parquet_records`, of either Arrow layout."""
    import pyarrow

    try:
        memory = pyarrow.BufferReader(_mapped(path))
        is_file = memory.read(6) == b"ARROW1"
        memory.seek(0)
        reader = pyarrow.ipc.open_file(memory) if is_file else pyarrow.ipc.open_stream(memory)
        fields = _fields(reader.schema, choice, spelled(path), tally)
        yield from _records(_arrow_batches(reader, is_file), fields, path)
    except pyarrow.ArrowException as error:
        raise UserError(f"{spelled(path)}: not a readable Arrow file: {one_line(error)}") from None


def _mapped(path: Path) -> Any:
    """The file as a buffer that is read as it is used."""
    import pyarrow

    with path.open("rb") as handle:
        empty = os.fstat(handle.fileno()).st_size == 0
        return pyarrow.py_buffer(
            b"" if empty else mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ)
        )


def steps_to(field: str, names: list[str]) -> list[str]:
    """The field's path: itself if there is a column of that very name, else its dotted parts."""
    return [field] if field in names else field.split(".")


def _fields(
    schema: Any, choice: FilesSource, place: str, tally: Tally
) -> list[tuple[str, list[str]]]:
    fields = []
    for name, key in choice.asked.items():
        steps = steps_to(name, schema.names)
        if schema.names.count(steps[0]) != 1:
            problem = "two columns" if steps[0] in schema.names else "no field"
            raise UserError(
                f"{place}: {key}: {problem} {steps[0]!r}; valid here: "
                f"{', '.join(sorted(set(schema.names)))}"
            )
        fields.append((name, steps))
    tally.unused(set(schema.names) - {steps[0] for _, steps in fields})
    return fields


def _arrow_batches(reader: Any, is_file: bool) -> Iterator[Any]:
    """Slices of record batches; `datasets` writes the stream layout."""
    whole = (
        (reader.get_batch(i) for i in range(reader.num_record_batches)) if is_file else iter(reader)
    )
    for batch in whole:
        for start in range(0, batch.num_rows, RECORDS_A_BATCH):
            yield batch.slice(start, RECORDS_A_BATCH)


def _records(batches: Iterator[Any], fields: list[tuple[str, list[str]]], path: Path) -> Records:
    number = 0
    for batch in batches:
        columns = {
            name: _values(_inner(batch.column(steps[0]), steps, spelled(path)), name, number, path)
            for name, steps in fields
        }
        for i in range(batch.num_rows):
            number += 1
            yield (
                f"{spelled(path)}: row {number}",
                {name: values[i] for name, values in columns.items()},
            )


def _inner(column: Any, steps: list[str], place: str) -> Any:
    """The column of a field inside structures; null where a structure around it is null."""
    import pyarrow
    import pyarrow.compute

    for step in steps[1:]:
        kind = column.type
        names = (
            [kind.field(i).name for i in range(kind.num_fields)]
            if pyarrow.types.is_struct(kind)
            else []
        )
        if names.count(step) != 1:
            problem = "two fields" if step in names else "no field"
            there = ", ".join(sorted(set(names))) or f"no fields: it holds {kind}"
            raise UserError(f"{place}: {problem} {step!r} of {'.'.join(steps)!r}; valid: {there}")
        column = pyarrow.compute.struct_field(column, [names.index(step)])
    return column


def _values(column: Any, name: str, rows_before: int, path: Path) -> list[Any]:
    """The column's texts; bytes are read as UTF-8, of which a bad one is named by its row."""
    import pyarrow

    types = pyarrow.types
    kind = column.type.value_type if types.is_dictionary(column.type) else column.type
    if types.is_null(kind):
        return [None] * len(column)
    texts = (
        *(types.is_string, types.is_large_string, types.is_string_view),
        *(types.is_binary, types.is_large_binary, types.is_binary_view),
    )
    if not any(is_text(kind) for is_text in texts):
        raise UserError(f"{spelled(path)}: column {name!r} holds {kind}, which is not text")
    column.validate()
    column = column.cast(pyarrow.large_binary())
    column.validate(full=True)  # a damaged file must not lead Arrow out of its buffers
    values = []
    for i, value in enumerate(column.to_pylist(), start=1):
        try:
            values.append(None if value is None else value.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise UserError(
                f"{spelled(path)}: row {rows_before + i}: column {name!r}: byte "
                f"0x{value[error.start]:02x} is not valid UTF-8; write the column anew as UTF-8"
            ) from None
    return values
