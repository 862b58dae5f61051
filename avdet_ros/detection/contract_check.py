"""Check that a model fits the rig and the front end of the vehicle."""

from __future__ import annotations

from dataclasses import dataclass
import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from avdet_ros.audio.microphone_pairs import CHANNELS
from avdet_ros.detection.contract import (
    FIXED_RIG,
    KEY_PREFIX,
    ModelContract,
    microphones_in_array,
)
from avdet_ros.detection.taught_ranges import outside
from avdet_ros.errors import AvdetError
from avdet_ros.paths import DEFAULT_MODEL, share
from avdet_ros.quoting import brief_repr
from avdet_ros.rig import Rig

if TYPE_CHECKING:
    from avdet_ros.audio.features import FrontEnd

GEOMETRY_TOLERANCE_M = 0.005
"""Allowed distance of a microphone from its position in training: half the distance that
shifts the phase by 10 degrees at 1 kHz."""

RECIPE = 'config/recipes/simulated_labels.yaml'
"""Recipe of the shipped model for one rig, in the package's share folder."""

TEACHING_TIME = 'some three hours of 2 cores'
"""Time to train with this recipe; docs/own-vehicle.md breaks it down."""

FRONT_END_KEYS = {'window_s', 'n_fft', 'hop_length', 'n_mels', 'features'}
"""Keys that differ only if the front end is of another version."""


@dataclass(frozen=True)
class Difference:
    """One key in which a model and the vehicle differ.

    Attributes:
        key: the metadata key.
        expected: value that the model was trained with.
        found: value of the rig or the front end.
    """

    key: str
    expected: str
    found: str

    def __str__(self) -> str:
        return (
            f'{self.key}: expected {self.expected} as the model was taught, '
            f'found {self.found} on this vehicle'
        )


def differences(contract: ModelContract, rig: Rig, front_end: FrontEnd) -> list[Difference]:
    """List all differences between a model and the vehicle, in the order to fix them."""
    pairs: list[tuple[str, float, float | None]] = [
        ('sample_rate', front_end.sample_rate_hz, contract.sample_rate_hz),
        ('window_s', front_end.window_s, contract.window_s),
        ('n_fft', front_end.n_fft, contract.n_fft),
        ('hop_length', front_end.hop_length, contract.hop_length),
        ('n_mels', front_end.n_mels, contract.n_mels),
    ]
    if contract.contract_version == FIXED_RIG:
        pairs += [
            ('image_width', rig.camera.width_px, contract.image_width_px),
            ('image_height', rig.camera.height_px, contract.image_height_px),
        ]
    found = [
        Difference(KEY_PREFIX + key, f'{expected:g}', f'{actual:g}')
        for key, actual, expected in pairs
        if expected is not None and not math.isclose(actual, expected, rel_tol=1e-9)
    ]
    found += _feature_differences(tuple(front_end.feature_names), contract.features)
    if contract.microphones_m is not None:
        actual = microphones_in_array(rig)
        found += _geometry_differences(actual, contract.microphones_m, rig.names)
        if contract.mounting is not None:
            found += [
                Difference(KEY_PREFIX + key, expected, actual)
                for key, expected, actual in contract.mounting.differences(rig)
            ]
    return found


def remarks(contract: ModelContract, rig: Rig) -> list[str]:
    """Return notes for the user on a model on this vehicle, one sentence each; none is fatal."""
    if contract.ranges is not None:
        return outside(contract.ranges, rig)
    if contract.mounting is None:
        sentence = (
            'the model does not say with which camera and mounting it was taught: boxes are right '
            'only if focal length, position and direction of camera and array are the same'
        )
        return [sentence]
    return []


def check(
    contract: ModelContract, rig: Rig, front_end: FrontEnd, where: str | Path = 'the model'
) -> None:
    """Refuse a model that does not fit the vehicle.

    Args:
        contract: what the model declares.
        rig: the vehicle's rig.
        front_end: the vehicle's front end.
        where: the model's file, for the message.

    Raises:
        AvdetError: the model does not fit. The message names the first key that differs, the
            expected and the found value, the other keys that differ, and what to do.
    """
    found = differences(contract, rig, front_end)
    if not found:
        return
    more = ', '.join(difference.key for difference in found[1:])
    raise AvdetError(
        f'{where} does not fit: {found[0]}'
        + (f'; {more} differ too' if more else '')
        + f'. {next_step(found)}'
    )


def next_step(found: list[Difference]) -> str:
    """Return one or two sentences on what to do about a model that does not fit the rig.

    Args:
        found: result of `differences`, at least one.
    """
    keys = {difference.key.removeprefix(KEY_PREFIX) for difference in found}
    teach = f'avdet train student {share(RECIPE)} --rig RIG ({TEACHING_TIME})'
    if 'sample_rate' in keys:
        rate = next(difference.expected for difference in found if 'sample_rate' in difference.key)
        return (
            f'Say sample_rate_hz: {rate} in the rig file if the sound card has that rate, as '
            f'avdet devices shows; else teach a model for this rig: {teach}'
        )
    if keys == {'features'} and found[0].expected.endswith('channels'):
        return (
            'The features have other pairs of microphones than the model asks for: node capture '
            'is given the same model as node detector, as avdet run and the launch files do'
        )
    if keys & FRONT_END_KEYS:
        return f'The model is of another version of this package; a new one is made by {teach}'
    return (
        f'Take model:={share(DEFAULT_MODEL)} (commands: --model), which fits any eight '
        f'microphones and any camera, or teach a model for this rig: {teach}'
    )


def _feature_differences(actual: tuple[str, ...], expected: tuple[str, ...]) -> list[Difference]:
    if actual == expected:
        return []
    if len(expected) in CHANNELS and actual[: len(expected)] == expected:
        return []  # ours has more pairs of microphones
    if len(actual) != len(expected):
        return [Difference(KEY_PREFIX + 'features', f'{len(expected)} channels', f'{len(actual)}')]
    first = next(index for index, name in enumerate(actual) if name != expected[index])
    return [
        Difference(
            KEY_PREFIX + 'features',
            f'channel {first} to be {brief_repr(expected[first], 80)}',
            f'{actual[first]!r}',
        )
    ]


def _geometry_differences(
    actual: np.ndarray, expected: np.ndarray, names: tuple[str, ...]
) -> list[Difference]:
    apart_m = np.linalg.norm(actual - expected, axis=1)
    worst = int(np.argmax(apart_m))
    if apart_m[worst] <= GEOMETRY_TOLERANCE_M:
        return []
    return [
        Difference(
            KEY_PREFIX + 'microphones',
            f'microphone {worst} ({names[worst]}) at {_point(expected[worst])} m in the array '
            f'within {GEOMETRY_TOLERANCE_M * 1e3:g} mm',
            f'{names[worst]} at {_point(actual[worst])} m, {apart_m[worst] * 1e3:.0f} mm away,',
        )
    ]


def _point(position_m: np.ndarray) -> str:
    return '(' + ', '.join(f'{value:.3f}' for value in position_m) + ')'
