"""The builder of made-up results that the tests of reports have."""

from tests.report.conftest import build

__all__ = ["build"]
