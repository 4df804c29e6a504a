"""Names that become folders of results and parts of run ids."""

from __future__ import annotations

import re
from typing import Any

_NAME = re.compile(r"[A-Za-z0-9_+][A-Za-z0-9_.+]*")


def check_name(value: Any) -> Any:
    """Refuse a text that cannot be a name: its folder must lie where it is looked for.

    Raises:
        ValueError: saying of what a name is made.
    """
    if isinstance(value, str) and not _NAME.fullmatch(value):
        raise ValueError(
            "a name is made of letters A to Z, digits, _, + and ., and does not begin with a dot"
        )
    return value
