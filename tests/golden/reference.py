"""The reference's parameters and tasks in our terms."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from baselines.online.weight_network import BagOfNgramsNetwork, ConvolutionNetwork, WeightNetwork
from benchmark.api.cost import CostMeter
from benchmark.api.task import Task
from benchmark.models.batch import Batch
from benchmark.models.config import TransformerConfig
from benchmark.models.transformer import Transformer

SIZE = TransformerConfig(layers=2, width=32, heads=2, hidden=64)
ROW = 32
SMALL = 4


def tensor(array: np.ndarray) -> Tensor:
    found = torch.from_numpy(np.ascontiguousarray(array))
    return found.to(torch.get_default_device(), torch.get_default_dtype())


def rows_of(labels: np.ndarray) -> Tensor:
    return torch.from_numpy(labels.astype(np.int64)).to(torch.get_default_device())


def to_direction(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, Tensor]:
    """The reference's main parameters (or a gradient of them) under our names."""

    def at(name: str) -> Tensor:
        return tensor(arrays[f"{prefix}decoder/{name}"])

    named = {
        "embedding.weight": at("Embed_0/embedding"),
        "norm.weight": at("encoderdecoder_norm/scale"),
        "norm.bias": at("encoderdecoder_norm/bias"),
    }
    for i in range(SIZE.layers):
        theirs, ours = f"encoderdecoderblock_{i}", f"blocks.{i}"
        attention = f"{theirs}/SelfAttention_0"
        inner = [at(f"{attention}/{part}/kernel") for part in ("query", "key", "value")]
        flat = [kernel.reshape(SIZE.width, SIZE.width).T for kernel in inner]
        named[f"{ours}.query_key_value.weight"] = torch.cat(flat)
        out = at(f"{attention}/out/kernel").reshape(SIZE.width, SIZE.width)
        named[f"{ours}.attention_out.weight"] = out.T
        for norm, name in (("LayerNorm_0", "attention_norm"), ("LayerNorm_1", "mlp_norm")):
            named[f"{ours}.{name}.weight"] = at(f"{theirs}/{norm}/scale")
            named[f"{ours}.{name}.bias"] = at(f"{theirs}/{norm}/bias")
        for dense, name in (("Dense_0", "mlp_in"), ("Dense_1", "mlp_out")):
            named[f"{ours}.{name}.weight"] = at(f"{theirs}/MlpBlock_0/{dense}/kernel").T
            named[f"{ours}.{name}.bias"] = at(f"{theirs}/MlpBlock_0/{dense}/bias")
    return {name: value.contiguous() for name, value in named.items()}


def unflatten(flat: np.ndarray, arrays: dict[str, np.ndarray]) -> dict[str, Tensor]:
    """A flat parameter vector of the reference under our names."""
    offsets, shapes = arrays["flat/offsets"], arrays["flat/shapes"]
    parts = {}
    for i, name in enumerate(arrays["flat/names"]):
        shape = tuple(int(size) for size in str(shapes[i]).split(","))
        parts[str(name)] = flat[offsets[i] : offsets[i + 1]].reshape(shape)
    return to_direction(parts, "")


def main_model(arrays: dict[str, np.ndarray], prefix: str) -> Transformer:
    model = Transformer(SIZE, 256, ROW)
    load(model, to_direction(arrays, prefix))
    return model


def load(module: nn.Module, values: dict[str, Tensor]) -> None:
    parameters = dict(module.named_parameters())
    assert parameters.keys() == values.keys()
    with torch.no_grad():
        for name, value in values.items():
            assert parameters[name].shape == value.shape, name
            parameters[name].copy_(value)


def network_values(arrays: dict[str, np.ndarray], prefix: str, kind: str) -> dict[str, Tensor]:
    """A weight network's parameters (or a gradient of them) under our names."""
    if kind == "bow":
        return {
            "embedding.weight": tensor(arrays[f"{prefix}Embed_0/embedding"]),
            "hidden.weight": tensor(arrays[f"{prefix}Dense_0/kernel"].T),
            "hidden.bias": tensor(arrays[f"{prefix}Dense_0/bias"]),
            "score.weight": tensor(arrays[f"{prefix}Dense_1/kernel"].T),
            "score.bias": tensor(arrays[f"{prefix}Dense_1/bias"]),
        }
    return {
        "embedding.weight": tensor(arrays[f"{prefix}CNNLM_0/Embed_0/embedding"]),
        "convolution.weight": tensor(arrays[f"{prefix}CNNLM_0/Conv_0/kernel"].transpose(2, 1, 0)),
        "convolution.bias": tensor(arrays[f"{prefix}CNNLM_0/Conv_0/bias"]),
        "score.weight": tensor(arrays[f"{prefix}CNNLM_0/Dense_0/kernel"].T),
        "score.bias": tensor(arrays[f"{prefix}CNNLM_0/Dense_0/bias"]),
    }


NETWORK = {
    "bow": {"kind": "bag_of_ngrams", "embedding": 16, "hidden": 16, "span": 1},
    "cnn": {"kind": "convolution", "embedding": 16, "hidden": 16, "span": 7},
}


def weight_network(arrays: dict[str, np.ndarray], prefix: str, kind: str) -> WeightNetwork:
    network: WeightNetwork
    if kind == "bow":
        network = BagOfNgramsNetwork(256, 16, 16, 1, 1)
    else:
        network = ConvolutionNetwork(256, 16, 16, 7)
    load(network, network_values(arrays, prefix, kind))
    return network


class RecordedRows:
    """The pool of a trajectory, looked up by the reference's line numbers."""

    domain_names = ("pool",)

    def __init__(self, ids: np.ndarray, labels: np.ndarray) -> None:
        self.place = {int(i): place for place, i in enumerate(ids)}
        self.labels = labels.astype(np.int64)

    def __len__(self) -> int:
        return len(self.labels)

    def tokens(self, positions: np.ndarray) -> np.ndarray:
        return self.labels[[self.place[int(i)] for i in positions]]

    def domains(self, positions: np.ndarray) -> np.ndarray:
        return np.zeros(len(positions), dtype=np.int64)


class RecordedTask(Task):
    """A task that replays the batches of a recorded run."""

    def __init__(self, arrays: dict[str, np.ndarray], run: str, model: nn.Module) -> None:
        pool = RecordedRows(arrays["pool/generic_id"], arrays["pool/generic_labels"])
        self.target_pool = RecordedRows(arrays["pool/specific_id"], arrays["pool/specific_labels"])
        super().__init__(
            model=model,
            generic=pool,
            target=self.target_pool.labels,
            vocabulary_size=256,
            batch_size=SMALL,
            big_batch_size=16,
            steps=20,
            seed=0,
            meter=CostMeter(),
            learning_rate=lambda step: float(arrays["lr"][step]),
        )
        self.arrays, self.run = arrays, run

    def generic_batch(self, step: int, size: int | None = None) -> Batch:
        return self.generic_rows(self.arrays[f"{self.run}/generic_id"][step][:size])

    def target_batch(self, step: int, size: int | None = None, stream: str = "target") -> Batch:
        assert size in (None, SMALL)
        kind = "meta_specific_id" if stream == "outer" else "specific_id"
        ids = self.arrays[f"{self.run}/{kind}"][step]
        return Batch(rows_of(self.target_pool.tokens(ids)), np.full(len(ids), -1))

    def chosen(self, step: int, recorded: str) -> Tensor:
        """Places in the step's generic batch of the ids that the reference took."""
        ids = list(self.arrays[f"{self.run}/generic_id"][step])
        return torch.tensor([ids.index(i) for i in self.arrays[f"{self.run}/{recorded}"][step]])
