"""Counts of thermal cameras converted to one scale, and pictures without contrast."""

from __future__ import annotations

import numpy as np
import pytest

from avdet_ros.dataset.thermal_counts import (
    COUNTS,
    ThermalScale,
    blind_pictures,
    contrast,
    contrast_fault,
    find_scale,
)

SHAPE = (60, 80)


def street(car_k=10.0, air_k=283.0, seed=1):
    """Return a street with a warmer car, (H, W) in kelvin."""
    kelvin = air_k + np.random.default_rng(seed).normal(scale=0.3, size=SHAPE)
    kelvin[25:40, 30:50] += car_k
    return kelvin


def counts(per_k, zero=0.0, **scene):
    return (street(**scene) * per_k + zero).round().astype(np.uint16)


CAMERAS = {
    'ours': (counts(80), '1/80 K'),
    'centikelvin': (counts(100), '0.01 K'),
    'centikelvin in frost': (counts(100, air_k=258.0), '0.01 K'),
    'high gain of 0.04 K': (counts(25), '0.04 K'),
    'low gain of 0.4 K, as 0.1 K': (counts(10), '0.1 K'),
    'from -100 degrees': (counts(10, -1731.5), '0.1 K from -100 degrees'),
    'raw 14 bits': (counts(20, -2000), 'of no usual scale'),
    'raw 14 bits, high': (counts(30, 3000), 'of no usual scale'),
    'raw 16 bits': (counts(120, 20000), 'of no usual scale'),
    'kelvin': (street().astype(np.float32), 'taken as kelvin'),
    'degrees Celsius': ((street() - 273.15).astype(np.float32), 'taken as degrees Celsius'),
}


@pytest.mark.parametrize('name', CAMERAS)
def test_car_is_visible_in_scaled_counts_of_every_camera(name):
    image, words = CAMERAS[name]
    scale = find_scale([image, image])
    assert words in scale.description
    ours = scale.apply(image)
    assert ours.dtype == np.uint16
    assert contrast_fault(ours) == ''
    car, road = float(np.median(ours[27:38, 32:48])), float(np.median(ours[:20]))
    assert COUNTS[0] < road < car < COUNTS[1]
    if 'raw' not in name:
        assert car - road == pytest.approx(800, abs=20)
        if 'frost' not in name:
            assert road == pytest.approx(283 * 80, abs=20)


def test_counts_in_our_scale_stay_unchanged():
    image = counts(80)
    assert find_scale([image]).apply(image) is image
    grey = np.arange(4800, dtype=np.uint16).reshape(SHAPE).astype(np.uint8)
    scale = find_scale([grey])
    assert '8 bits' in scale.description
    assert scale.apply(grey) is grey


def test_frost_is_shifted_into_the_teacher_range_without_scaling():
    image = counts(80, air_k=255.0)
    low, high = np.percentile(image, [1, 99])
    words = f'expected counts from 21800 to 25000, found {low:.0f} to {high:.0f}: one grey'
    assert contrast_fault(image).startswith(words)
    scale = find_scale([image])
    assert scale.factor == 1.0
    assert 'moved by +' in scale.description
    assert contrast_fault(scale.apply(image)) == ''


@pytest.mark.parametrize(
    ('median', 'words'),
    [
        (18600, '1/80 K, as ours'),
        (18599, 'of no usual scale'),
        (25000, '1/80 K, as ours'),
        (25001, '0.01 K'),
        (34000, '0.01 K'),
        (34001, 'of no usual scale'),
        (5799, 'of no usual scale'),
        (5800, '0.04 K'),
        (8400, '0.04 K'),
        (8401, 'of no usual scale'),
        (2299, 'of no usual scale'),
        (2300, '0.1 K'),
        (3400, '0.1 K'),
        (3401, 'of no usual scale'),
        (699, 'of no usual scale'),
        (700, '0.1 K from -100 degrees'),
        (1700, '0.1 K from -100 degrees'),
        (1701, 'of no usual scale'),
    ],
)
def test_scale_is_chosen_by_the_median(median, words):
    image = np.full(SHAPE, median, np.uint16)
    image[0], image[7] = median - 40, median + 40
    how = find_scale([image]).description
    assert f' {words}' in how
    assert how.startswith(f'{median - 40} to {median + 40} counts ')


def test_unknown_scale_is_stretched_to_75_percent_of_teacher_range():
    image = np.full(SHAPE, 500, np.uint16)
    image[:30], image[30:] = 300, 500
    scale = find_scale([image])
    assert scale.apply(np.array([[300, 500]], np.uint16)).tolist() == [[22200, 24600]]
    assert scale.factor == pytest.approx(0.75 * 3200 / 200)
    flat = find_scale([np.full(SHAPE, 500, np.uint16)])
    assert (flat.factor, flat.apply(np.array([[500]], np.uint16))[0, 0]) == (16, 23400)


def test_hot_counts_are_shifted_if_under_half_are_in_range():
    image = np.zeros(SHAPE, np.uint16)
    image[:30], image[30:] = 24_000, 26_000  # half of this interval is above the teachers' range
    assert find_scale([image], 1 / 80).offset == 0
    image[30:] = 26_002
    image[29] = 26_000
    scale = find_scale([image], 1 / 80)
    assert scale.offset == pytest.approx(23_400 - np.median(image[::7, ::7]), abs=1)
    assert 'moved by -' in scale.description


def test_given_scale_overrides_the_estimate():
    image = counts(100)
    given = find_scale([image], 0.02)
    assert '0.02 K, as given' in given.description
    assert given.factor == pytest.approx(1.6)
    assert 'of no usual scale' in find_scale([image], 0.0).description


def test_zeros_and_nans_become_zero():
    image = counts(100)
    image[:, :10] = 0  # outside the picture
    assert not find_scale([image]).apply(image)[:, :10].any()
    holes = street().astype(np.float32)
    holes[0] = np.nan
    assert not find_scale([holes]).apply(holes)[0].any()


@pytest.mark.parametrize(
    'images', [[], [np.zeros(SHAPE, np.uint16)], [np.full(SHAPE, 7000, np.uint16)]]
)
def test_empty_and_flat_pictures_get_a_scale(images):
    scale = find_scale(images)
    assert scale.description
    assert all(scale.apply(image).shape == SHAPE for image in images)


@pytest.mark.parametrize(
    ('image', 'blind'),
    [
        (counts(100), True),
        (counts(25), True),
        (np.full(SHAPE, 23000, np.uint16), True),
        (np.zeros(SHAPE, np.uint16), True),
        (np.full(SHAPE, 128, np.uint8), True),
        (counts(80), False),
        (counts(80, car_k=2.0), False),
        ((street() - 270).astype(np.uint8) * 8, False),
    ],
)
def test_pictures_without_contrast_are_detected(image, blind):
    assert bool(contrast_fault(image)) == blind
    assert (contrast(image) < 0.01) == blind


def test_contrast_is_a_share_of_the_teacher_range():
    """Relative to the counts from 21,800 to 25,000 or to 255 greys; values outside are clipped."""
    half = np.arange(64).reshape(8, 8) // 4 % 2 == 0
    for low, high, share in ((22_000, 22_800, 0.25), (21_000, 22_600, 0.25), (1, 65_535, 1.0)):
        assert contrast(np.where(half, low, high).astype(np.uint16)) == pytest.approx(share)
    grey = np.where(half, 40, 91).astype(np.uint8)
    assert contrast(grey) == contrast(np.stack([grey, grey * 0, grey], -1)) == pytest.approx(0.2)


def test_empty_border_adds_no_contrast():
    image = counts(100)
    image[:, :20] = 0
    assert contrast(image) == 0


def test_blind_pictures_are_reported_only_if_most_are_blind():
    blind, good = counts(25), counts(80)
    assert blind_pictures([('a', good), ('b', blind)]) == ''
    assert blind_pictures([]) == ''
    words = blind_pictures([('a', good), ('b.png', blind), ('c', blind)])
    assert words.startswith('2 of 3 checked thermal pictures, e.g. b.png: expected counts')


def test_scaled_counts_are_clipped_to_16_bits():
    image = np.array([[1, 60000]], np.uint16)
    assert ThermalScale(2.0, -10.0).apply(image).tolist() == [[0, 65535]]
