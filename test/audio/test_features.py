"""Log-mel features match librosa, and the coherence matches physics."""

import copy

import librosa
import numpy as np
import pytest

from avdet_ros.audio.features import POOL_FRAMES, FrontEnd, mel_filters, paper_log_mel, pool_frames
from avdet_ros.audio.microphone_pairs import PAIRS
from avdet_ros.errors import AvdetError
from avdet_ros.rig import load_rig


@pytest.fixture(scope='module')
def noise():
    """Eight independent channels of road-like noise with unequal levels."""
    rng = np.random.default_rng(1)
    white = rng.standard_normal((8, 44100))
    red = np.cumsum(white, axis=1)
    red -= red.mean(axis=1, keepdims=True)
    waveform = 0.02 * white + 0.0004 * red
    return (waveform * np.geomspace(1, 0.05, 8)[:, None]).astype(np.float32)


def coherence(front_end, waveform):
    """(12, n_mels, frames) complex64."""
    features = front_end.compute(waveform)[8:]
    return features[0::2] + 1j * features[1::2]


def librosa_power(waveform, **grid):
    return librosa.feature.melspectrogram(
        y=waveform, window='hann', center=True, pad_mode='reflect', power=2.0, **grid
    )


def test_default_grid_matches_the_paper(front_end):
    assert (front_end.samples, front_end.frames, front_end.n_mels) == (44100, 173, 80)
    assert len(front_end.feature_names) == len(set(front_end.feature_names)) == 32
    assert front_end.feature_names[0] == 'log_mel_0'
    assert front_end.feature_names[8:10] == ('coherence_re_0_1', 'coherence_im_0_1')
    assert front_end.feature_names[-1] == 'coherence_im_3_7'
    assert len(PAIRS) == 12
    assert (7, 0) in PAIRS


def test_all_pairs_extend_the_twelve_without_duplicates(noise):
    twelve, every = FrontEnd(), FrontEnd(pair_count=28)
    assert len({frozenset(pair) for pair in every.pairs}) == 28
    assert every.pairs[:12] == PAIRS
    assert every.feature_names[:32] == twelve.feature_names
    assert every.feature_names[-2:] == ('coherence_re_7_2', 'coherence_im_7_2')
    features = every.compute(noise)
    np.testing.assert_allclose(features[:32], twelve.compute(noise), atol=1e-5)
    # The same pairs, made neighbours by reordering the channels.
    order = [0, 3, 1, 4, 6, 2, 5, 7]
    moved = coherence(twelve, noise[order])
    phases = features[8::2] + 1j * features[9::2]
    place = every.pairs.index((0, 3))
    np.testing.assert_allclose(phases[place], moved[0], atol=1e-5)
    place = every.pairs.index((4, 6))
    np.testing.assert_allclose(phases[place], moved[3], atol=1e-5)


@pytest.mark.parametrize(
    'grid',
    [
        {'sr': 44100, 'n_fft': 1024, 'hop_length': 256, 'n_mels': 80},
        {'sr': 16000, 'n_fft': 512, 'hop_length': 160, 'n_mels': 40},
        {'sr': 48000, 'n_fft': 2048, 'hop_length': 500, 'n_mels': 128},
    ],
)
def test_log_mel_equals_librosa(noise, grid):
    front_end = FrontEnd(grid['sr'], 0.5, grid['n_fft'], grid['hop_length'], grid['n_mels'])
    waveform = noise[:, : front_end.samples]
    features = front_end.compute(waveform)
    expected = librosa.power_to_db(
        librosa_power(waveform, **grid), ref=1.0, amin=1e-10, top_db=None
    )
    assert features.dtype == np.float32
    assert features[:8].shape == expected.shape
    assert np.abs(features[:8] - expected).max() < 1e-3
    assert np.array_equal(front_end.log_mel(waveform), features[:8])


def test_mel_filters_equal_librosa():
    expected = librosa.filters.mel(sr=44100, n_fft=1024, n_mels=80)
    np.testing.assert_allclose(mel_filters(44100, 1024, 80), expected, atol=1e-8)


def test_paper_log_mel_equals_librosa_with_ref_max_per_microphone(noise):
    waveform = noise.copy()
    waveform[:, 10000:30000] = 0  # something for top_db to cut
    found = paper_log_mel(waveform)
    grid = {'sr': 44100, 'n_fft': 1024, 'hop_length': 256, 'n_mels': 80}
    for microphone in range(8):
        power = librosa_power(waveform[microphone], **grid)
        expected = librosa.power_to_db(power, ref=np.max, top_db=80.0)
        assert np.abs(found[microphone] - expected).max() < 1e-3
    assert found.max() == 0
    assert found.min() == -80


def test_log_mel_level_is_absolute(front_end, noise):
    quieter = front_end.compute(noise * np.float32(0.1))[:8]
    assert np.abs(front_end.compute(noise)[:8] - quieter - 20).max() < 0.01


def test_identical_channels_are_fully_coherent(front_end, noise):
    same = coherence(front_end, np.repeat(noise[:1], 8, axis=0))
    assert np.abs(same - 1).max() < 1e-3


def test_coherence_ignores_gains(front_end, noise):
    waveform = np.repeat(noise[:1], 8, axis=0)
    gains = np.geomspace(0.5, 2, 8, dtype=np.float32)[:, None]
    assert np.abs(coherence(front_end, waveform * gains) - 1).max() < 1e-3


def test_incoherent_noise_averages_out(front_end):
    waveform = 0.1 * np.random.default_rng(2).standard_normal((8, 44100)).astype(np.float32)
    found = coherence(front_end, waveform)
    assert np.abs(found).max() < 1.001
    over_time = np.abs(found.mean(axis=2))
    assert over_time.max() < 0.35
    assert over_time.mean() < 0.1
    # A wide band is small even in single frames, as it averages some 40 random phases.
    assert np.sqrt((np.abs(found[:, -1]) ** 2).mean()) < 0.25


@pytest.mark.parametrize('frequency_hz', [250.0, 1000.0, 3000.0])
@pytest.mark.parametrize('delay_samples', [-5, 3])
def test_delay_rotates_the_coherence_phase(front_end, frequency_hz, delay_samples):
    t = np.arange(44100) / 44100
    waveform = np.zeros((8, 44100), np.float32)
    for microphone in range(8):
        late_s = delay_samples / 44100 if microphone == 1 else 0.0
        waveform[microphone] = 0.1 * np.sin(2 * np.pi * frequency_hz * (t - late_s))
    found = coherence(front_end, waveform)
    band = int(front_end.log_mel(waveform)[0, :, 80].argmax())
    inner = found[:, band, 4:-4]
    expected = np.exp(2j * np.pi * frequency_hz * delay_samples / 44100)
    assert np.abs(inner[PAIRS.index((0, 1))] - expected).max() < 0.01
    assert np.abs(inner[PAIRS.index((1, 2))] - expected.conj()).max() < 0.01
    assert np.abs(inner[PAIRS.index((2, 3))] - 1).max() < 0.01


def test_default_rig_gives_the_default_front_end(front_end, noise):
    plain = FrontEnd.of(load_rig())
    assert plain == front_end
    assert np.array_equal(plain.compute(noise), front_end.compute(noise))


def test_known_gains_and_delays_are_corrected(front_end, noise):
    late, loud_db = np.array([0, 3, 1, 0, 2, 0, 0, 1]), np.linspace(-6, 6, 8)
    clean = np.repeat(noise[:1], 8, axis=0)
    wrong = np.stack([np.roll(row, shift) for row, shift in zip(clean, late, strict=True)])
    wrong *= 10 ** (loud_db[:, None] / 20).astype(np.float32)
    corrected = front_end.calibrated(loud_db, late / 44100, np.ones(8, bool))
    expected, found = front_end.compute(clean), corrected.compute(wrong)
    inner = slice(4, -4)  # the reflected edges differ between delayed and clean sound
    uncorrected = front_end.compute(wrong)
    difference = np.abs(found - expected)[..., inner]
    assert difference[:8].mean() < 0.06  # the frame's taper is not delayed
    assert difference[8:].mean() < 0.01
    assert np.abs(uncorrected - expected)[8:, :, inner].mean() > 0.2


def test_fractional_sample_delays_are_corrected(front_end):
    t = np.arange(44100) / 44100
    tone = np.stack([0.1 * np.sin(2 * np.pi * 3000 * (t - late)) for late in np.arange(8) * 5e-6])
    found = front_end.calibrated(np.zeros(8), np.arange(8) * 5e-6, np.ones(8, bool))
    band = int(found.log_mel(tone)[0, :, 80].argmax())
    assert np.abs(coherence(found, tone)[:, band, 4:-4] - 1).max() < 1e-3


def test_dead_microphone_is_silent_and_has_zero_coherence(front_end, noise):
    found = front_end.calibrated(np.zeros(8), np.zeros(8), np.arange(8) != 3).compute(noise)
    whole = front_end.compute(noise)
    without = [8 + 2 * pair + part for pair, p in enumerate(PAIRS) if 3 in p for part in (0, 1)]
    assert np.abs(found[3] + 100).max() < 1e-4
    assert not found[without].any()
    kept = [index for index in range(32) if index != 3 and index not in without]
    assert np.array_equal(found[kept], whole[kept])


def test_wrong_number_of_delays_is_rejected(front_end):
    with pytest.raises(AvdetError, match='delay_s: expected 8 finite numbers or none'):
        FrontEnd(delay_s=(0.0, 1e-5))


@pytest.mark.parametrize('value', [0.0, 0.5, -1.0])
def test_constant_sound_gives_finite_features(front_end, value):
    features = front_end.compute(np.full((8, 44100), value, np.float32))
    assert np.isfinite(features).all()
    assert features[:8].min() >= -100.001
    if value == 0:
        assert not features[8:].any()
    assert np.isfinite(paper_log_mel(np.full((8, 44100), value, np.float32))).all()


@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf, 1e30])
def test_damaged_samples_leave_other_channels_and_frames_unchanged(front_end, noise, value):
    damaged = noise.copy()
    damaged[2, 5000] = value
    features = front_end.compute(damaged)
    assert np.isfinite(features).all()
    clean = front_end.compute(noise)
    untouched = np.r_[0:2, 3:8]
    assert np.array_equal(features[untouched], clean[untouched])
    assert np.array_equal(features[2, :, 40:], clean[2, :, 40:])


def test_input_waveform_is_not_modified(front_end, noise):
    before = noise.copy()
    front_end.compute(noise)
    paper_log_mel(noise)
    assert np.array_equal(noise, before)


@pytest.mark.parametrize(
    ('waveform', 'found'),
    [
        (np.zeros((7, 44100), np.float32), r'shape \(7, 44100\)'),
        (np.zeros((8, 44099), np.float32), r'shape \(8, 44099\)'),
        (np.zeros(44100, np.float32), r'shape \(44100,\)'),
        (np.zeros((8, 44100), np.int16), 'int16'),
        (np.zeros((8, 44100), np.complex64), 'complex64'),
        ([[0.0] * 44100] * 8, 'list'),
    ],
)
def test_wrong_window_shape_or_type_is_rejected(front_end, waveform, found):
    with pytest.raises(AvdetError, match=rf'expected \(8, 44100\) floating.*found {found}'):
        front_end.compute(waveform)


@pytest.mark.parametrize(
    ('values', 'key'),
    [
        ({'n_mels': 0}, 'n_mels'),
        ({'hop_length': -1}, 'hop_length'),
        ({'n_fft': 1024.0}, 'n_fft'),
        ({'window_s': 0.001}, 'window_s'),
        ({'window_s': float('nan')}, 'window_s'),
        ({'pair_count': 16}, 'pair_count: expected 12 or 28, found 16'),
    ],
)
def test_invalid_front_end_settings_are_rejected(values, key):
    with pytest.raises(AvdetError, match=key):
        FrontEnd(**values)


def test_front_end_can_be_copied_after_use(front_end, noise):
    front_end.compute(noise)  # fills its internal buffers
    twin = copy.deepcopy(front_end)  # copied the same way as for a data loader's workers
    assert twin == front_end
    assert np.array_equal(twin.compute(noise), front_end.compute(noise))


@pytest.mark.parametrize('frames', [POOL_FRAMES, 3 * POOL_FRAMES, 2 * POOL_FRAMES + 1])
def test_pool_frames_averages_full_groups_and_the_remainder(frames):
    values = np.arange(2 * 3 * frames, dtype=np.float32).reshape(2, 3, frames) ** 2
    pooled = pool_frames(values)
    parts = [values[..., k : k + POOL_FRAMES] for k in range(0, frames, POOL_FRAMES)]
    assert np.array_equal(pooled, np.stack([part.mean(axis=-1) for part in parts], axis=-1))
