"""The two stages of a run after which it is compared."""

from __future__ import annotations

from typing import Literal, get_args

Stage = Literal["trained", "fine_tuned"]
STAGES: tuple[Stage, ...] = get_args(Stage)
STAGE_NAMES = dict(zip(STAGES, ("as trained", "after fine-tuning"), strict=True))
