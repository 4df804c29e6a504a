"""What a method sees, and the one door to it: a method imports everything from here.

Imports the layers below (`core`, `data`, `models`, `study`), and knows no method.
"""

from benchmark.api.auxiliary import (
    SCORING_ROWS,
    fix_dropout,
    map_generic,
    rate_at,
    resized,
    scan,
    score,
    train,
    train_once,
    train_step,
    twin,
)
from benchmark.api.baseline import (
    PRETRAINING,
    Baseline,
    Choice,
    Downsampling,
    DownsamplingHyperparameters,
    Hyperparameters,
    LogUniform,
    OnlineSelector,
)
from benchmark.api.cost import CostMeter
from benchmark.api.parts import OUTER_UPDATE, SCORING, timed
from benchmark.api.task import Task
from benchmark.core.errors import UserError
from benchmark.core.frozen import Frozen
from benchmark.core.randomness import EpochOrder
from benchmark.models.batch import Batch, Rows
from benchmark.models.influence import (
    Direction,
    dot,
    gradient,
    hessian_product,
    influence,
    parameters_of,
    step_along,
)
from benchmark.models.losses import per_example_loss, shifted, token_counts, token_share
from benchmark.models.optimisation import build_optimizer
from benchmark.models.row_gradients import RowGradients, parameters_in, recordable
from benchmark.models.whole_gradients import chunk_rows, flat_row_gradients, unflattened
from benchmark.study.metrics import DOMAIN_WEIGHT, PROXY_WEIGHT, WEIGHTS_ENTROPY

__all__ = [
    "DOMAIN_WEIGHT",
    "OUTER_UPDATE",
    "PRETRAINING",
    "PROXY_WEIGHT",
    "SCORING",
    "SCORING_ROWS",
    "WEIGHTS_ENTROPY",
    "Baseline",
    "Batch",
    "Choice",
    "CostMeter",
    "Direction",
    "Downsampling",
    "DownsamplingHyperparameters",
    "EpochOrder",
    "Frozen",
    "Hyperparameters",
    "LogUniform",
    "OnlineSelector",
    "RowGradients",
    "Rows",
    "Task",
    "UserError",
    "build_optimizer",
    "chunk_rows",
    "dot",
    "fix_dropout",
    "flat_row_gradients",
    "gradient",
    "hessian_product",
    "influence",
    "map_generic",
    "parameters_in",
    "parameters_of",
    "per_example_loss",
    "rate_at",
    "recordable",
    "resized",
    "scan",
    "score",
    "shifted",
    "step_along",
    "timed",
    "token_counts",
    "token_share",
    "train",
    "train_once",
    "train_step",
    "twin",
    "unflattened",
]
