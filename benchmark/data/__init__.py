"""Text in, memory-mapped token rows out.

A *source* (embedded corpus, local files, Hugging Face data set, or a mixture of them) is turned
once into a `RowStore`: one row an example, fixed width, 0 for padding, with the provenance domain
of each row. `prepare` builds the stores of a generic corpus and of a target, removes exact
duplicates and writes the splits; `open_prepared` reopens the result in another process.
"""

from benchmark.data.building import Progress
from benchmark.data.config import DataConfig, TargetConfig
from benchmark.data.prepare import PreparedData, open_prepared, prepare
from benchmark.data.report import DataReport
from benchmark.data.rows import RowStore, build_rows
from benchmark.data.source import Source, parse_source
from benchmark.data.tokenizers import Tokenizer, load_tokenizer
from benchmark.data.views import RowView

__all__ = [
    "DataConfig",
    "DataReport",
    "PreparedData",
    "Progress",
    "RowStore",
    "RowView",
    "Source",
    "TargetConfig",
    "Tokenizer",
    "build_rows",
    "load_tokenizer",
    "open_prepared",
    "parse_source",
    "prepare",
]
