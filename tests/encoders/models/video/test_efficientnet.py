"""EfficientNet-Lite0: its shape and padding by hand, the release by photographs whose content is known."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import sklearn.datasets
import torch
from numpy.typing import NDArray
from torch import nn

from encoders.checkpoints.files import load_into, read_checkpoint
from encoders.errors import CheckpointMismatchError, ShapeError
from encoders.loading import load_network
from encoders.models.video.efficientnet import SPEC, EfficientNetLite0, class_names, convert, made_fast, seen


def photograph(name: str) -> NDArray[np.uint8]:
    """Return the middle square of one of scikit-learn's two, uint8 [224, 224, 3]."""
    bgr = cv2.imread(str(Path(sklearn.datasets.__file__).parent / "images" / name))
    assert bgr is not None
    height, width = bgr.shape[:2]
    left = (width - height) // 2
    return np.ascontiguousarray(cv2.resize(bgr[:, left : left + height], (224, 224), interpolation=cv2.INTER_AREA))[
        ..., ::-1
    ]


@pytest.fixture(scope="module")
def network(weights_dir: Path) -> nn.Module:
    return made_fast(load_network(SPEC, weights_dir)[0])


def test_it_has_the_parameters_of_the_paper() -> None:
    # 5.29 M of B0 less squeeze-and-excitation, 0.64 M.
    assert sum(parameter.numel() for parameter in EfficientNetLite0().parameters()) == 4_652_008


def test_padding_is_as_in_tensorflow() -> None:
    """Of a convolution by 3 with stride 2 the first output sees the first three pixels, and the last only two."""
    stem = EfficientNetLite0().stem[:2]
    with torch.no_grad():
        stem.convolution.weight.fill_(1.0)
        out = stem(torch.arange(8.0).expand(1, 3, 8, 8))[0, 0]
    # Rows are summed three times over three channels, of the last row but twice.
    rows = np.array([0 + 1 + 2, 2 + 3 + 4, 4 + 5 + 6, 6 + 7]) * 9
    np.testing.assert_allclose(out[0].numpy(), rows)
    np.testing.assert_allclose(out[-1].numpy(), rows * 2 / 3)


def test_what_is_beside_a_block_is_added_where_it_fits() -> None:
    beside = [block.is_beside for block in EfficientNetLite0().blocks]
    assert beside == [n not in {0, 1, 3, 5, 8, 11, 15} for n in range(16)]


def test_keys_of_the_release_are_ours() -> None:
    theirs = {
        "_conv_stem.weight": "stem.convolution.weight",
        "_bn1.running_var": "head.norm.running_var",
        "_blocks.0._depthwise_conv.weight": "blocks.0.filter.convolution.weight",
        "_blocks.11._bn0.bias": "blocks.11.widen.norm.bias",
        "_blocks.15._bn2.weight": "blocks.15.narrow.norm.weight",
        "_fc.bias": "classes.bias",
    }
    tensors = {key: torch.full((1,), float(number)) for number, key in enumerate(theirs)}
    counter = {"_bn0.num_batches_tracked": torch.zeros(())}
    assert convert({**tensors, **counter}) == {ours: tensors[key] for key, ours in theirs.items()}
    with pytest.raises(CheckpointMismatchError, match="_se_reduce"):
        convert({"_blocks.0._se_reduce.weight": torch.zeros(1)})


def test_other_shapes_are_refused(network: nn.Module) -> None:
    with pytest.raises(ShapeError, match=r"\[1, 3, 240, 240\]"):
        network(torch.zeros(1, 3, 240, 240))
    with pytest.raises(ShapeError, match=r"\[1, 3, 224, 224\]"):
        seen(network, np.zeros((1, 3, 224, 224), np.uint8))
    assert [answer.shape for answer in seen(network, np.zeros((0, 224, 224, 3), np.uint8))] == [(0, 1280), (0, 1000)]


def test_there_is_a_name_for_each_class() -> None:
    names = class_names()
    assert len(names) == len(set(names)) == 1000
    assert [names[number] for number in (0, 1, 207, 291, 751, 978, 985, 999)] == [
        *("tench", "goldfish", "golden retriever", "lion", "racer", "seashore", "daisy", "toilet tissue"),
    ]


def test_the_release_sees_what_is_in_photographs(network: nn.Module) -> None:
    """Of a Chinese palace and a flower; with another normalisation the first becomes a bell cote."""
    _, logits = seen(network, np.stack([photograph("china.jpg"), photograph("flower.jpg")]))
    palace, flower = logits.argmax(axis=1)
    assert class_names()[palace] == "palace"
    assert class_names()[flower] == "daisy"


def test_what_is_made_fast_sees_the_same_in_any_company(
    network: nn.Module, weights_dir: Path, rng: np.random.Generator
) -> None:
    slow = EfficientNetLite0().eval()
    load_into(slow, read_checkpoint(SPEC.weights_in(weights_dir)))
    pictures = np.stack([photograph("china.jpg"), *rng.integers(0, 256, (5, 224, 224, 3), np.uint8)])
    with torch.inference_mode():
        features, logits = slow(torch.from_numpy(pictures).permute(0, 3, 1, 2).float())
    assert 0 <= float(features.min()) <= float(features.max()) <= 6
    together = seen(network, pictures)
    for ours, expected in zip(together, (features, logits), strict=True):
        np.testing.assert_allclose(ours, expected.numpy(), atol=2e-3)
    for one, of_many in zip(seen(network, pictures[5:]), together, strict=True):
        np.testing.assert_allclose(one[0], of_many[5], atol=2e-3)
