"""The bases of validated models."""

from __future__ import annotations

import json
import os
from typing import Self

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """Validated data that never changes; a key that it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Message(Frozen):
    """What one process writes for another; its paths may have names that are not UTF-8.

    ``model_dump_json`` refuses such names; escapes in JSON keep their every byte.
    """

    def as_json(self) -> str:
        """One line of ASCII that `from_json` reads."""
        return json.dumps(self.model_dump(), default=os.fspath)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """What `as_json` was called of."""
        return cls.model_validate(json.loads(text))
