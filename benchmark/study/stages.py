"""The two stages of a run after which it is compared."""

from __future__ import annotations

from typing import Literal, get_args

Stage = Literal["trained", "fine_tuned"]
BEST_STEP = "best step on valid, step 0 included"
"""Rule of a stage whose result is not its last step's."""
STAGES: tuple[Stage, ...] = get_args(Stage)
STAGE_NAMES = dict(zip(STAGES, ("as trained", "after fine-tuning"), strict=True))
