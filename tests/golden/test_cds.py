"""Contrastive selection against the reference: losses, rounded differences, chosen rows."""

from __future__ import annotations

import numpy as np
import torch

from baselines.online.cds import largest_falls, loss_change
from benchmark.api.auxiliary import score
from tests.golden.reference import SMALL, main_model, rows_of, tensor

Arrays = dict[str, np.ndarray]


def test_losses_before_and_after(single: Arrays) -> None:
    rows = rows_of(single["gen/labels"])
    for prefix, name in (("main/", "pre"), ("mainB/", "post")):
        ours = score(main_model(single, prefix), rows)
        torch.testing.assert_close(ours, tensor(single[f"cds/{name}_loss"]), rtol=1e-5, atol=0)


def test_change_of_the_recorded_losses(single: Arrays) -> None:
    before, after = (tensor(single[f"cds/{name}_loss"]) for name in ("pre", "post"))
    change = loss_change(before, after)
    np.testing.assert_array_equal(change.cpu().numpy(), single["cds/delta_float16"])
    np.testing.assert_array_equal(largest_falls(change, SMALL).cpu().numpy(), single["cds/top_ids"])


def test_selection_from_the_models(single: Arrays) -> None:
    rows = rows_of(single["gen/labels"])
    before, after = (score(main_model(single, prefix), rows) for prefix in ("main/", "mainB/"))
    change = loss_change(before, after)
    np.testing.assert_array_equal(largest_falls(change, SMALL).cpu().numpy(), single["cds/top_ids"])
    # Losses agree to 1e-6, so a difference may round to a neighbouring half-precision number.
    np.testing.assert_array_max_ulp(change.cpu().numpy(), single["cds/delta_float16"], maxulp=1)
