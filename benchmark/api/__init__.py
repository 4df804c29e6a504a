"""What a method sees, and the one door to it: a method imports everything from here.

Imports the layers below (`core`, `data`, `models`, `study`), and knows no method.
"""

from benchmark.api.auxiliary import (
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
    Baseline,
    Choice,
    Downsampling,
    DownsamplingHyperparameters,
    Hyperparameters,
    LogUniform,
    OnlineSelector,
)
from benchmark.api.cost import CostMeter
from benchmark.api.task import Task
from benchmark.core.errors import UserError
from benchmark.core.frozen import Frozen
from benchmark.core.parts import OUTER_UPDATE, SCORING, timed
from benchmark.core.processes import side_by_side
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
from benchmark.models.passes import rows_at_once
from benchmark.models.row_gradients import RowGradients, parameters_in, recordable
from benchmark.models.whole_gradients import flat_row_gradients
from benchmark.study.metrics import DOMAIN_WEIGHT, PROXY_WEIGHT, WEIGHTS_ENTROPY
from benchmark.study.study import PRETRAINING
from benchmark.tasks import PIXELS, TEXT, TOKENS

__all__ = [
    "DOMAIN_WEIGHT",
    "OUTER_UPDATE",
    "PIXELS",
    "PRETRAINING",
    "PROXY_WEIGHT",
    "SCORING",
    "TEXT",
    "TOKENS",
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
    "rows_at_once",
    "scan",
    "score",
    "shifted",
    "side_by_side",
    "step_along",
    "timed",
    "token_counts",
    "token_share",
    "train",
    "train_once",
    "train_step",
    "twin",
]
