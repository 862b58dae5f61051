from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest
import torch

from avdet_ros.audio.features import FrontEnd, pool_frames
from avdet_ros.rig import load_rig
from avdet_ros.training.data.augment import (
    added,
    augment,
    change_levels,
    drawn_pairs,
    drop_channels,
    mask_bands,
    mask_frames,
    mix_batch,
)
from avdet_ros.training.data.mirror import find_mirror
from avdet_ros.training.data.windows import loader
from avdet_ros.training.recipes.parts import Augmentation

NO_CHANGE = Augmentation(mirror=False, gain_db=0.0, channel_gain_db=0.0, mask_bands=0)


def sound(seed: int, level: float = 0.1) -> np.ndarray:
    """Return eight channels of related but different sound."""
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(8, 3))
    return (level * mixing @ rng.normal(size=(3, 44100)) / 4).astype(np.float32)


def features(waveform: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(FrontEnd().compute(waveform))[None]


def cells(height: int, width: int) -> tuple[int, int]:
    return height, width


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def batch(taught):
    (made,) = list(loader(taught(8, 0), 8, levels=3))
    return made


def test_gain_equals_that_of_a_louder_recording():
    batch = torch.cat([features(sound(seed)) for seed in range(4)])
    found = change_levels(batch, 6.0, 0.0, generator(1))
    change = (found - batch)[:, :8]
    assert torch.equal(found[:, 8:], batch[:, 8:])
    assert change.std(dim=(1, 2, 3)).max() < 1e-4
    assert 0.5 < change.abs().max() <= 6.0
    louder = features(sound(0) * 2)[:, :8] - features(sound(0))[:, :8]
    torch.testing.assert_close(
        louder, torch.full_like(louder, 20 * np.log10(2)), atol=1e-3, rtol=0
    )


def test_masked_bands_have_zero_coherence():
    batch = torch.cat([features(sound(seed)) for seed in range(8)])
    found = mask_bands(batch, 20, generator(3))
    hidden = (found[:, 8:] == 0).all(dim=(1, 3))
    assert hidden.any()
    assert hidden.sum(dim=1).max() <= 20
    assert torch.equal(
        found[:, 8:].transpose(1, 2)[~hidden], batch[:, 8:].transpose(1, 2)[~hidden]
    )


def test_mixed_features_approximate_those_of_the_summed_sounds():
    first, second = sound(5), sound(6, level=0.05)
    truth = features(first + second)[0].mean(dim=-1)
    found = added(features(first), features(second))[0].mean(dim=-1)
    # The sounds are incoherent only on average, and the lowest bands span few bins.
    assert (found[:8] - truth[:8])[:, 20:].abs().mean() < 0.3
    assert (found[8:] - truth[8:]).abs().mean() < 0.03
    assert (features(first)[0].mean(dim=-1)[8:] - truth[8:]).abs().mean() > 0.06


@given(st.integers(1, 9), st.floats(0, 1), st.integers(0, 99))
def test_no_window_is_mixed_with_itself(count, part, seed):
    generator = torch.Generator().manual_seed(seed)
    chosen, other = drawn_pairs(count, part, generator, torch.device('cpu'))
    assert len(chosen) == len(other) <= count
    assert torch.all(chosen != other)
    assert torch.all((other >= 0) & (other < count))


def test_mixing_coherent_and_incoherent_sound_approximates_their_sum():
    rng, front_end = np.random.default_rng(0), FrontEnd()
    everywhere = np.tile(rng.normal(size=44100), (8, 1))
    one, two = (0.1 * np.stack([everywhere, rng.normal(size=(8, 44100))])).astype(np.float32)
    features = [
        torch.from_numpy(pool_frames(front_end.compute(sound)))[None]
        for sound in (one, two, one + two)
    ]
    mixed = added(*features[:2])

    def apart(sound):  # both are incoherent only on average
        error = (sound.mean(dim=3) - features[2].mean(dim=3)).abs()
        return float(error[:, :8].mean()), float(error[:, 8:].mean())

    levels_db, coherences = apart(mixed)
    assert levels_db < 0.4
    assert coherences < 0.05
    assert min(apart(features[0])[0], apart(features[1])[0]) > 2
    assert torch.allclose(added(features[0][:, :8], features[1][:, :8]), mixed[:, :8])


def test_mixture_has_boxes_and_maps_of_both_windows(batch):
    mixed = mix_batch(batch, torch.tensor([0, 1]), torch.tensor([5, 6]))
    assert len(mixed.boxes[0]) == len(batch.boxes[0]) + len(batch.boxes[5])
    assert len(mixed.boxes[1]) == len(batch.boxes[1]) + len(batch.boxes[6]) == 2
    assert len(mixed.boxes[2]) == len(batch.boxes[2])
    assert torch.equal(
        mixed.attention[1][1], torch.maximum(batch.attention[1][1], batch.attention[1][6])
    )
    assert torch.equal(batch.spectrogram[2], mixed.spectrogram[2])


def test_masked_frames_are_contiguous_and_have_zero_coherence(batch):
    masked = mask_frames(batch.spectrogram, 0.5, generator())
    changed = (masked != batch.spectrogram).any(dim=2).any(dim=1)
    assert 0 < changed.sum() < changed.numel()
    assert changed.float().mean(dim=1).max() <= 0.5 + 1e-6
    for window, where in zip(masked, changed, strict=True):
        assert (window[8:][..., where] == 0).all()
        runs = (where[1:] != where[:-1]).sum()
        assert runs <= 2
    assert masked[:, :8].mean() == pytest.approx(float(batch.spectrogram[:, :8].mean()), abs=1.0)


def test_dropped_microphone_clears_its_pairs(batch):
    sound = batch.spectrogram
    dropped = drop_channels(sound, 1.0, generator())
    dead = (dropped[:, :8] == -100).all(dim=(2, 3))
    assert (dead.sum(dim=1) == 1).all()
    silent = (dropped[:, 8:] == 0).all(dim=(2, 3)).sum(dim=1)
    assert (silent == 2 * 3).all()  # with two neighbours and the opposite one, real and imaginary
    assert torch.equal(drop_channels(sound, 0.0, generator()), sound)
    assert drop_channels(sound[:, :8], 1.0, generator()).shape == sound[:, :8].shape


def test_augment_without_options_changes_nothing_and_seeds_repeat(batch):
    same = augment(batch, NO_CHANGE, None, generator(), cells)
    assert torch.equal(same.spectrogram, batch.spectrogram)
    how = Augmentation(mix=0.5, mask_frames=0.2, drop_channel=0.3)
    mirror = find_mirror(load_rig())
    one, two, other = (augment(batch, how, mirror, generator(seed), cells) for seed in (3, 3, 4))
    assert torch.equal(one.spectrogram, two.spectrogram)
    assert not torch.equal(one.spectrogram, other.spectrogram)
