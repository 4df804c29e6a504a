"""Images: what becomes of them on the way to a row, the models that read them, what is refused."""

from __future__ import annotations

import gzip
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from baselines.online.weight_network import NetworkConfig, build_network
from benchmark.core.errors import UserError
from benchmark.data import DataConfig, TargetConfig, prepare
from benchmark.data.text import Tally
from benchmark.methods.registry import check_methods
from benchmark.study.study import Study
from benchmark.tasks.images.corpora import READERS
from benchmark.tasks.images.model import ConvolutionalNetwork
from benchmark.tasks.images.options import ImageOptions, NetworkOptions
from benchmark.tasks.images.pictures import document_of
from benchmark.tasks.images.rows import ImageEncoder
from benchmark.tasks.images.scores import accuracy

SIDE = 6
LABELS = ("cat", "dog")


def write_images(folder: Path, counts: dict[str, int], seed: int = 0, side: int = SIDE) -> Path:
    """Images of noise in a folder for each label."""
    rng = np.random.default_rng(seed)
    for label, count in counts.items():
        (folder / label).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            pixels = rng.integers(0, 256, (side, side), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{number:03}.png")
    return folder


def data_of(folder: Path, **options: Any) -> DataConfig:
    chosen = {"size": [SIDE, SIDE], "labels": list(LABELS)} | options
    return DataConfig.model_validate(
        {
            "task": "images",
            "options": chosen,
            "generic": {"files": str(folder)},
            "generic_valid": 10,
        }
    )


def target_of(folder: Path, train: int = 10) -> TargetConfig:
    source = {"files": str(folder)}
    return TargetConfig.model_validate({"source": source, "train": train, "valid": 5, "test": 5})


def study_of(**changes: Any) -> dict[str, Any]:
    content: dict[str, Any] = {
        "study": "pictures",
        "data": {
            "task": "images",
            "options": {"size": [16, 16], "resize": True, "labels": [str(i) for i in range(10)]},
            "generic": "mnist",
        },
        "models": {"mini": {"preset": "mini"}},
        "targets": {"optdigits": {"source": "optdigits", "train": 100}},
        "methods": ["pretraining"],
        "training": {"steps": 2},
        "fine_tuning": {"steps": 2},
    }
    for key, value in changes.items():
        inner = content
        *path, last = key.split("__")
        for part in path:
            inner = inner[part]
        inner[last] = value
    return content


def test_a_row_is_the_given_pixels_and_then_the_label(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "generic", {"cat": 20, "dog": 20})
    target = write_images(tmp_path / "target", {"cat": 20, "dog": 20}, seed=1)
    prepared = prepare(data_of(folder), target_of(target), tmp_path / "cache")
    rows = prepared.generic.tokens(np.arange(len(prepared.generic)))
    assert rows.shape == (30, SIDE * SIDE + 1)
    assert (rows[:, :-1] <= 0).all()
    assert set(rows[:, -1]) == {1, 2}
    files = {
        (np.asarray(Image.open(file)).tobytes(), LABELS.index(file.parent.name) + 1)
        for file in folder.rglob("*.png")
    }
    assert {((-row[:-1]).astype(np.uint8).tobytes(), int(row[-1])) for row in rows} <= files
    assert set(prepared.generic.domain_names) == {"cat", "dog"}
    assert prepared.report.notes == ()


def test_what_is_no_image_of_the_study_is_left_out_and_counted(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "generic", {"cat": 30, "dog": 20, "horse": 3})
    write_images(folder, {"cat": 2}, side=9)
    (folder / "dog" / "000.png").write_bytes(b"no image")
    (folder / "dog" / "notes.txt").write_text("hello")
    target = write_images(tmp_path / "target", {"cat": 30}, seed=1)
    prepared = prepare(data_of(folder), target_of(target), tmp_path / "cache")
    left_out = "\n".join(prepared.report.left_out["generic"])
    assert f"images that cannot be decoded left out: 1 ({folder}/dog/000.png)" in left_out
    assert (
        "images of labels that data.options.labels does not name left out: 3 (horse, " in left_out
    )
    assert "images of other sizes than 6 x 6 left out (data.options.resize: true" in left_out
    assert "not read, hidden or no image" in left_out
    assert "target_train has no image of label dog" in prepared.report.notes
    resized = prepare(data_of(folder, resize=True), target_of(target), tmp_path / "cache")
    assert "other sizes" not in "\n".join(resized.report.left_out["generic"])
    assert resized.report.rows["generic"] == prepared.report.rows["generic"] + 2


def test_a_target_label_that_the_generic_corpus_lacks_is_counted(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "generic", {"cat": 40})
    target = write_images(tmp_path / "target", {"cat": 15, "dog": 15}, seed=1)
    prepared = prepare(data_of(folder), target_of(target), tmp_path / "cache")
    dogs = sum(
        int((view.tokens(np.arange(len(view)))[:, -1] == 2).sum())
        for view in (prepared.target_train, prepared.target_valid, prepared.target_test)
    )
    assert dogs > 0
    note = f"target images of labels that the generic corpus has none of: {dogs}"
    assert note in prepared.report.notes
    assert "generic has no image of label dog" in prepared.report.notes


def test_no_image_at_all_is_an_error_of_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    target = target_of(write_images(tmp_path / "target", {"cat": 30}))
    with pytest.raises(UserError, match=r"no file in .* ends in \.png"):
        prepare(data_of(tmp_path / "empty"), target, tmp_path / "cache")
    folder = write_images(tmp_path / "generic", {"horse": 3})
    with pytest.raises(UserError, match=r"no image has the size of data\.options\.size") as caught:
        prepare(data_of(folder), target, tmp_path / "cache")
    assert "\n" not in str(caught.value)
    assert "horse" in str(caught.value)


def test_images_of_a_data_set_keep_their_labels(tmp_path: Path) -> None:
    import datasets

    rng = np.random.default_rng(0)
    pictures = [Image.fromarray(rng.integers(0, 256, (SIDE, SIDE), dtype="u1")) for _ in range(30)]
    features = datasets.Features(
        {"picture": datasets.Image(), "animal": datasets.ClassLabel(names=list(LABELS))}
    )
    columns = {"picture": pictures, "animal": [number % 2 for number in range(30)]}
    datasets.Dataset.from_dict(columns, features).save_to_disk(tmp_path / "saved")
    source = {
        "dataset": str(tmp_path / "saved"),
        "text_field": "picture",
        "answer_field": "animal",
    }
    data = data_of(tmp_path).model_dump(mode="json") | {"generic": source}
    target = write_images(tmp_path / "target", {"cat": 15, "dog": 15}, seed=1)
    prepared = prepare(DataConfig.model_validate(data), target_of(target), tmp_path / "cache")
    rows = prepared.generic.store.tokens
    assert len(rows) == 30
    assert np.bincount(rows[:, -1])[1:].tolist() == [15, 15]
    assert rows[0, :-1].tolist() == np.asarray(pictures[0]).ravel().tolist()


def test_channels_are_converted() -> None:
    grey = np.full((4, 4), 100, dtype=np.uint8)
    options = ImageOptions(size=(4, 4), labels=LABELS, channels=3)
    encoder = ImageEncoder(options, Tally())
    ((_, (rows,)),) = encoder.rows([document_of(grey, "dog")])
    assert rows.shape == (1, 3 * 16 + 1)
    assert rows[0].tolist() == [100] * 48 + [2]


def pickled(array: np.ndarray) -> bytes:
    content = array.tobytes()
    return gzip.compress(b"\x80\x04junk" + b"B" + struct.pack("<I", len(content)) + content)


def test_readers_of_wheels(tmp_path: Path) -> None:
    def wheel(files: dict[str, bytes]) -> Path:
        path = tmp_path / "package.whl"
        with zipfile.ZipFile(path, "w") as out:
            for name, content in files.items():
                out.writestr(name, content)
        return path

    digit = ",".join(["0"] * 783 + ["255", "7"])
    (made,) = READERS["mnist"](wheel({"m/data/mnist_5k.csv.gz": gzip.compress(digit.encode())}))
    assert (made.domain, made.rest.label, made.rest.pixels.shape) == ("7", "7", (28, 28))
    assert made.rest.pixels[27, 27] == 255
    digit = ",".join(["0.00"] * 63 + ["16.00", "3.00"])
    name = "sklearn/datasets/data/digits.csv.gz"
    (made,) = READERS["optdigits"](wheel({name: gzip.compress(digit.encode())}))
    assert (made.rest.label, made.rest.pixels.shape) == ("3", (12, 12))
    assert made.rest.pixels[9, 9] == made.rest.pixels.max() == 255
    images = np.arange(7_840_000, dtype=np.uint8).reshape(-1, 28, 28)
    files = {
        "a/animal_data_version_3.gz": pickled(images),
        "a/animal_label_version_3.gz": pickled(np.arange(10_000, dtype="<i8") % 10),
    }
    found = list(READERS["animals"](wheel(files)))
    assert len(found) == 10_000
    assert found[11].rest.label == "bird"
    assert np.array_equal(found[11].rest.pixels, images[11])


def test_a_weight_network_of_images_sees_no_label() -> None:
    network = build_network(NetworkConfig(embedding=4, hidden=4, span=3), 3, 0, (1, SIDE, SIDE))
    rows = -torch.randint(0, 256, (5, SIDE * SIDE + 1))
    rows[:, -1] = 1
    other = rows.clone()
    other[:, -1] = 2
    with torch.no_grad():
        assert torch.equal(network(rows), network(other))
        other[:, 0] = -255 - rows[:, 0]
        assert not torch.equal(network(rows), network(other))


def test_accuracy_is_the_share_of_labels_that_score_highest(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "generic", {"cat": 30, "dog": 10})
    target = write_images(tmp_path / "target", {"cat": 12, "dog": 12}, seed=1)
    prepared = prepare(data_of(folder), target_of(target), tmp_path / "cache")
    model = ConvolutionalNetwork(NetworkOptions(channels=(4,), hidden=8), (1, SIDE, SIDE), 2, 0)
    with torch.no_grad():
        model.output.weight.zero_()
        model.output.bias.copy_(torch.tensor([1.0, 0.0]))
    rows = prepared.generic.tokens(np.arange(len(prepared.generic)))
    assert accuracy(model, prepared.generic) == pytest.approx((rows[:, -1] == 1).mean())


@pytest.mark.parametrize("checkpoint", [False, True])
def test_an_image_classifier_of_transformers_is_a_main_model(
    tmp_path: Path, checkpoint: bool
) -> None:
    from transformers import AutoConfig, AutoModelForImageClassification

    from benchmark.models.config import ModelConfig
    from benchmark.models.losses import per_example_loss
    from benchmark.tasks.images.pretrained import build_pretrained

    sizes = {
        "hidden_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "patch_size": 3,
    }
    options = ImageOptions(size=(SIDE, SIDE), labels=LABELS)
    config = ModelConfig(huggingface_config={"model_type": "vit", **sizes})
    if checkpoint:
        settings = AutoConfig.for_model("vit", **sizes, image_size=SIDE, num_labels=5)
        AutoModelForImageClassification.from_config(settings).save_pretrained(tmp_path / "vit")
        config = ModelConfig(huggingface=str(tmp_path / "vit"))
    model, again = (build_pretrained(config, options, 3, tmp_path) for _ in range(2))
    assert model.central_differences == ()
    rows = -torch.randint(0, 256, (4, SIDE * SIDE + 1))
    rows[:, -1] = torch.tensor([1, 2, 1, 2])
    losses = per_example_loss(model, rows)
    assert losses.shape == (4,)
    assert torch.equal(losses, per_example_loss(again, rows))


def test_models_that_do_not_fit_images_are_refused(tmp_path: Path) -> None:
    from benchmark.models.config import ModelConfig
    from benchmark.tasks.images.pretrained import build_pretrained

    options = ImageOptions(size=(32, 32), labels=LABELS)
    config = ModelConfig(
        huggingface_config={
            "model_type": "resnet",
            "embedding_size": 4,
            "hidden_sizes": [4, 4],
            "depths": [1, 1],
        }
    )
    with pytest.raises(UserError, match="batch normalisation"):
        build_pretrained(config, options, 0, tmp_path)
    wrong = ModelConfig(huggingface_config={"model_type": "vit", "image_size": 224})
    with pytest.raises(UserError, match=r"takes images of 224 x 224: set data\.options\.size"):
        build_pretrained(wrong, options, 0, tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data__options__labels": ["a"]}, r"options\.labels: .*at least 2 items"),
        ({"data__options__labels": ["a", "a"]}, r"options\.labels: 'a' is listed twice"),
        ({"data__options": {"labels": ["a", "b"]}}, r"options\.size is missing"),
        ({"data__options__colour": 1}, "options: unknown key 'colour'"),
        ({"data__width": 64}, "width: is about text"),
        ({"data__near_duplicates": "remove"}, "near_duplicates: remove compares runs of tokens"),
        ({"data__generic": "kjv"}, "generic: corpus 'kjv' is one of language_modelling"),
        ({"data__task": "imags"}, r"unknown task 'imags' \(did you mean 'images'\?\)"),
        ({"targets__optdigits__source": "indico"}, r"targets\.optdigits\.source: corpus 'indico'"),
        ({"models__mini": {"preset": "paper"}}, "models.mini: unknown preset of images 'paper'"),
        ({"models__mini": {"network": {"hiden": 3}}}, "network: unknown key 'hiden'"),
        (
            {"models__mini": {"transformer": {"layers": 1, "width": 8, "heads": 1, "hidden": 8}}},
            "models.mini: transformer: reads tokens",
        ),
    ],
)
def test_settings_of_other_tasks_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Study.model_validate(study_of(**changes))


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("dsir", r"methods\.0: dsir: reads text, and rows of task images have only pixels"),
        ({"method": "doge", "hyperparameters": {"domains": "clusters"}}, ""),
        ({"method": "dds", "hyperparameters": {"network": {"kind": "bag_of_ngrams"}}}, "tokens"),
        ({"method": "crisp", "hyperparameters": {"embedding": "some/encoder"}}, "reads text"),
    ],
)
def test_methods_of_text_are_refused_when_the_study_is_read(method: Any, message: str) -> None:
    study = Study.model_validate(study_of(methods=[method]))
    if not message:
        check_methods(study)
        return
    with pytest.raises(UserError, match=message) as caught:
        check_methods(study)
    assert "\n" not in str(caught.value)


def test_options_are_written_out_in_the_key_of_a_run() -> None:
    said, unsaid = (
        Study.model_validate(study_of(data__options=options))
        for options in (
            {"size": [8, 8], "labels": ["a", "b"], "channels": 1, "resize": False},
            {"size": [8, 8], "labels": ["a", "b"]},
        )
    )
    assert said.runs()[0].key == unsaid.runs()[0].key
    again = Study.model_validate_json(said.model_dump_json())
    assert again.runs()[0].key == said.runs()[0].key
