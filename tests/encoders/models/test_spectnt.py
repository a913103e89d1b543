"""SpecTNT's backbone and tagger: what attends to what, and sizes that follow from the configuration."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from encoders.encoder import Encoder
from encoders.models.embeddings.spectnt import (
    COMPACT,
    PAPER,
    SPEC,
    SpecTNT,
    SpecTNTConfig,
    SpecTNTTagger,
    Stage,
)
from encoders.models.spectnt_blocks import EncoderLayer

# Every size differs from every other, so that two axes taken for each other do not fit.
SMALL = SpecTNTConfig(
    sample_rate=8000,
    window_length=4000,
    n_fft=256,
    hop_length=160,
    n_mels=40,
    front_end=(Stage(6, pooling=(2, 1), stride=2), Stage(10, pooling=(2, 2))),
    n_blocks=2,
    spectral_dim=12,
    spectral_heads=3,
    temporal_dim=32,
    temporal_heads=4,
    expansion=2,
    dropout=0.2,
)
N_TAGS = 7


def seeded(config: SpecTNTConfig = SMALL) -> SpecTNTTagger:
    """A network in evaluation mode whose tokens and positions are as large as what they are added to."""
    torch.manual_seed(5)
    tagger = SpecTNTTagger(config, N_TAGS)
    for name, parameter in tagger.backbone.named_parameters():
        if name in {"fct", "frequency_positions", "class_token", "temporal_positions"}:
            nn.init.normal_(parameter)
    for name, buffer in tagger.backbone.named_buffers():
        if "running" in name:
            buffer.uniform_(0.5, 1.5)
    return tagger.eval()


@pytest.fixture
def tagger() -> SpecTNTTagger:
    return seeded()


@pytest.fixture
def backbone(tagger: SpecTNTTagger) -> SpecTNT:
    return tagger.backbone


@pytest.fixture
def bands(rng: np.random.Generator) -> Tensor:
    return bands_of(rng, SMALL.n_frames)


def bands_of(rng: np.random.Generator, n_frames: int) -> Tensor:
    shape = (3, n_frames, SMALL.n_bands, SMALL.spectral_dim)
    return torch.tensor(rng.standard_normal(shape), dtype=torch.float32)


def features_of(rng: np.random.Generator, config: SpecTNTConfig, n_windows: int = 1) -> Tensor:
    shape = (n_windows, config.n_mels, 1 + config.window_length // config.hop_length)
    return torch.tensor(rng.uniform(-60, 20, shape), dtype=torch.float32)


def close(actual: Tensor, expected: Tensor) -> bool:
    return torch.allclose(actual, expected, rtol=1e-4, atol=1e-4)


def n_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(("config", "n_bands", "n_frames"), [(PAPER, 128, 49), (COMPACT, 16, 54), (SMALL, 5, 6)])
def test_the_front_end_leaves_what_the_configuration_says(
    config: SpecTNTConfig, n_bands: int, n_frames: int, rng: np.random.Generator
) -> None:
    assert (config.n_bands, config.n_frames) == (n_bands, n_frames)
    with torch.inference_mode():
        left = SpecTNT(config).eval().front_end(features_of(rng, config)[:, None])
    assert left.shape == (1, n_frames, n_bands, config.spectral_dim)


def encoder_parameters(dim: int) -> int:
    """Two norms, queries, keys and values without biases, the way out, and a perceptron four times as wide."""
    return 2 * 2 * dim + 3 * dim**2 + (dim**2 + dim) + (4 * dim**2 + 4 * dim) + (4 * dim**2 + dim)


def test_the_papers_network_has_its_documented_size() -> None:
    front_end = 2 * 9 * 128 + 9 * 128**2 + 3 * 2 * 128 + 129 * 96
    block = 2 * 97 * 96 + 2 * encoder_parameters(96)
    tokens = (1 + 129 + 1 + 49) * 96
    backbone = SpecTNT(PAPER)
    assert n_parameters(backbone) == front_end + 3 * block + tokens
    assert n_parameters(backbone) / 1e6 == pytest.approx(0.91, abs=0.005)
    assert n_parameters(SpecTNT(COMPACT)) / 1e6 == pytest.approx(0.69, abs=0.005)


@pytest.mark.parametrize(
    ("other", "owner"),
    [
        (replace(SMALL, window_length=8000), "temporal_positions"),
        (replace(SMALL, n_mels=48), "frequency_positions"),
        (replace(SMALL, n_blocks=3), "blocks"),
        (replace(SMALL, expansion=4), "blocks"),
        (replace(SMALL, front_end=(SMALL.front_end[0], Stage(14, pooling=(2, 2)))), "front_end"),
    ],
)
def test_a_size_changes_its_own_part_alone(other: SpecTNTConfig, owner: str) -> None:
    def sizes(config: SpecTNTConfig) -> dict[str, list[tuple[int, ...]]]:
        parts: dict[str, list[tuple[int, ...]]] = {}
        for name, parameter in SpecTNT(config).named_parameters():
            parts.setdefault(name.partition(".")[0], []).append(tuple(parameter.shape))
        return parts

    before, after = sizes(SMALL), sizes(other)
    assert {part for part in before if before[part] != after[part]} == {owner}


def test_frames_without_positions_have_no_order(backbone: SpecTNT, bands: Tensor) -> None:
    order = torch.tensor([4, 2, 0, 5, 1, 3])
    with torch.inference_mode():
        assert not close(backbone.attend(bands[:, order])[:, 0], backbone.attend(bands)[:, 0])
        backbone.temporal_positions.zero_()
        moved, still = backbone.attend(bands[:, order]), backbone.attend(bands)
    assert close(moved[:, 0], still[:, 0])
    assert close(moved[:, 1:], still[:, 1:][:, order])
    assert not close(moved[:, 1:], still[:, 1:])


def test_bands_without_positions_have_no_order(backbone: SpecTNT, bands: Tensor) -> None:
    order = torch.tensor([3, 0, 4, 2, 1])
    with torch.inference_mode():
        assert not close(backbone.attend(bands[:, :, order]), backbone.attend(bands))
        backbone.frequency_positions.zero_()
        assert close(backbone.attend(bands[:, :, order]), backbone.attend(bands))
        # Channels are no sequence: their order matters without any positions.
        assert not close(backbone.attend(bands.flip(3)), backbone.attend(bands))


def test_every_frame_and_band_of_a_window_is_heard_and_no_other_window(backbone: SpecTNT, bands: Tensor) -> None:
    bands.requires_grad_()
    (gradient,) = torch.autograd.grad(backbone.attend(bands)[1, 2].square().sum(), bands)
    heard = gradient.abs().amax(3)
    assert (heard[1] > 0).all()
    assert (heard[[0, 2]] == 0).all()


def test_bands_reach_the_frames_through_the_frequency_class_token_alone(backbone: SpecTNT, bands: Tensor) -> None:
    with torch.inference_mode():
        for name, parameter in backbone.named_parameters():
            if name.endswith("to_temporal.weight"):
                parameter.zero_()
        deaf = backbone.attend(bands)
    assert close(deaf[0], deaf[1])
    assert not close(deaf[:, 1], deaf[:, 2])


def test_a_frames_temporal_embedding_reaches_its_own_bands(
    backbone: SpecTNT, bands: Tensor, rng: np.random.Generator
) -> None:
    block = backbone.blocks[0]
    spectral = torch.cat([backbone.fct.expand(3, SMALL.n_frames, -1, -1), bands], dim=2)
    temporal, other = torch.tensor(rng.standard_normal((2, 3, 1 + SMALL.n_frames, SMALL.temporal_dim))).float()

    def reached(token: int) -> list[int]:
        changed = temporal.clone()
        changed[:, token] = other[:, token]
        difference = block(spectral, changed)[0] - block(spectral, temporal)[0]
        return [frame for frame in range(SMALL.n_frames) if difference[:, frame].abs().max() > 1e-4]

    with torch.inference_mode():
        assert reached(3) == [2]
        # The class token stands for no frame.
        assert reached(0) == []


def test_a_layer_is_torchs_own(rng: np.random.Generator) -> None:
    torch.manual_seed(6)
    layer = EncoderLayer(12, 3, SMALL).eval()
    reference = nn.TransformerEncoderLayer(12, 3, 24, activation="gelu", batch_first=True, norm_first=True).eval()
    for ours, theirs in (
        (layer.attention_norm, reference.norm1),
        (layer.to_out, reference.self_attn.out_proj),
        (layer.perceptron[0], reference.norm2),
        (layer.perceptron[1], reference.linear1),
        (layer.perceptron[4], reference.linear2),
    ):
        for parameter in ours.parameters():
            nn.init.normal_(parameter)
        theirs.load_state_dict(ours.state_dict())
    with torch.no_grad():
        reference.self_attn.in_proj_weight.copy_(layer.to_qkv.weight)
        reference.self_attn.in_proj_bias.zero_()
        sequences = torch.tensor(rng.standard_normal((4, 9, 12)), dtype=torch.float32)
        torch.testing.assert_close(layer(sequences), reference(sequences), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("n_frames", [6, 11, 40])
def test_positions_stretch_over_a_longer_window(n_frames: int, rng: np.random.Generator) -> None:
    short = seeded().backbone
    bands = bands_of(rng, n_frames)
    # The front end leaves one of four frames; n hops of samples are n + 1 frames.
    long = seeded(replace(SMALL, window_length=(4 * n_frames - 1) * SMALL.hop_length)).backbone
    assert long.temporal_positions.shape == (n_frames, SMALL.temporal_dim)
    places, learned = np.linspace(0, SMALL.n_frames - 1, n_frames), np.arange(SMALL.n_frames)
    stretched = np.stack([np.interp(places, learned, column) for column in short.temporal_positions.detach().numpy().T])
    long.load_state_dict(short.state_dict() | {"temporal_positions": torch.tensor(stretched.T, dtype=torch.float32)})
    with torch.inference_mode():
        torch.testing.assert_close(short.attend(bands), long.attend(bands), rtol=1e-4, atol=1e-4)


def test_a_window_does_not_depend_on_its_batch_and_evaluation_repeats(
    tagger: SpecTNTTagger, rng: np.random.Generator
) -> None:
    waveforms = torch.tensor(rng.uniform(-1, 1, (5, SMALL.window_length)), dtype=torch.float32)
    with torch.inference_mode():
        together, again = tagger(waveforms), tagger(waveforms)
        alone = [tagger(waveform[None]) for waveform in waveforms]
    for part in (0, 1):
        assert torch.equal(together[part], again[part])
        torch.testing.assert_close(torch.cat([pair[part] for pair in alone]), together[part], rtol=1e-4, atol=1e-4)
    assert together[0].shape == (5, SMALL.temporal_dim)
    assert together[1].shape == (5, N_TAGS)


def test_dropout_acts_in_training_alone(tagger: SpecTNTTagger, rng: np.random.Generator) -> None:
    features = features_of(rng, SMALL, 4)
    tagger.train()
    assert not torch.equal(tagger.encode(features)[0], tagger.encode(features)[0])


def test_the_tagger_is_features_then_backbone_then_head(tagger: SpecTNTTagger, rng: np.random.Generator) -> None:
    waveforms = torch.tensor(rng.uniform(-1, 1, (2, SMALL.window_length)), dtype=torch.float32)
    with torch.inference_mode():
        features = tagger.features(waveforms)
        embedding, tag_logits = tagger(waveforms)
        assert features.shape == features_of(rng, SMALL, 2).shape
        assert torch.equal(embedding, tagger.backbone(features)[:, 0])
        assert torch.equal(tag_logits, tagger.head(embedding))
        # dB without a floor below the loudest: ten times the amplitude is 20 dB more, everywhere.
        torch.testing.assert_close(tagger.features(10 * waveforms), features + 20, rtol=0, atol=1e-2)
        quiet = torch.cat([torch.zeros(1, 2000), torch.ones(1, 2000)], dim=1)
        assert tagger.features(quiet)[..., 0].max() == -100


def test_gradient_reaches_every_parameter(rng: np.random.Generator) -> None:
    tagger = seeded().train()
    _, tag_logits = tagger.encode(features_of(rng, SMALL, 4))
    F.binary_cross_entropy_with_logits(tag_logits, torch.eye(4, N_TAGS)).backward()  # type: ignore[no-untyped-call]
    still = [name for name, p in tagger.named_parameters() if p.grad is None or p.grad.abs().max() < 1e-6]
    assert still == []


def test_bfloat16_is_near(tagger: SpecTNTTagger, rng: np.random.Generator) -> None:
    features = features_of(rng, SMALL, 4)
    with torch.inference_mode():
        exact, _ = tagger.encode(features)
        with torch.autocast("cpu", torch.bfloat16):
            near, _ = tagger.encode(features)
    assert F.cosine_similarity(near.float(), exact).min() > 0.999
    assert not torch.equal(near.float(), exact)


def test_pitch_and_its_direction_are_learned(rng: np.random.Generator) -> None:
    """A band of noise that rises, falls or stays high or low: only frequency and time together tell the four apart."""

    def sweeps(n: int) -> tuple[Tensor, Tensor]:
        kinds = torch.tensor(rng.integers(0, 4, n))
        features = torch.tensor(rng.uniform(-60, -40, (n, SMALL.n_mels, 26)), dtype=torch.float32)
        halves = (slice(0, 13), slice(13, 26))
        low, high = slice(4, 14), slice(24, 34)
        for kind, window in zip(kinds, features, strict=True):
            for half, place in zip(halves, ((low, high), (high, low), (low, low), (high, high))[kind], strict=True):
                window[place, half] += 40
        return features, kinds

    torch.manual_seed(7)
    tagger = SpecTNTTagger(replace(SMALL, dropout=0.0), 4)
    optimizer = torch.optim.AdamW(tagger.parameters(), 1e-3)
    for _ in range(80):
        features, kinds = sweeps(16)
        loss = F.cross_entropy(tagger.encode(features)[1], kinds)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    features, kinds = sweeps(64)
    with torch.inference_mode():
        guesses = tagger.eval().encode(features)[1].argmax(1)
    assert (guesses == kinds).float().mean() > 0.9


def test_the_spec_describes_its_network(rng: np.random.Generator) -> None:
    torch.manual_seed(8)
    network = SPEC.build()
    encoder = Encoder(SPEC, network, version="spectnt-test", device=torch.device("cpu"))
    windows = rng.uniform(-1, 1, (1, SPEC.window_length)).astype(np.float32)
    encoding = encoder.encode(windows)
    assert SPEC.window_s == 10
    assert encoding.embeddings.shape == (1, COMPACT.temporal_dim)
    assert list(encoder.tags(encoding)) == list(SPEC.tags)
    assert SPEC.convert(network.state_dict()).keys() == network.state_dict().keys()
