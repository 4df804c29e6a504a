"""The base of every validated model."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """Validated data that never changes; a key that it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")
