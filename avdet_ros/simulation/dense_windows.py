"""Windows mixed with the vehicles of another drive: denser than any traffic.

Sound adds up, so the spectra of a mixture are the sum of two windows' spectra at the same array,
and its features are computed from the sum. This is exact, and cheap compared with rendering. Every
window of a drive is mixed with every window of another, so six rendered windows yield twelve. Ego
vehicle, wind and self-noise come from the first drive only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from avdet_ros.audio.features import FrontEnd
from avdet_ros.rig import Rig
from avdet_ros.simulation import cnossos
from avdet_ros.simulation.angles import AngleLabels, angle_labels
from avdet_ros.simulation.array_windows import (
    WindowPlan,
    array_of,
    array_windows,
    draw_world,
    moment_row,
    place_array,
    starts_of,
)
from avdet_ros.simulation.blind_corners import coming_sides
from avdet_ros.simulation.fleet import only_near
from avdet_ros.simulation.quick_sound import QuickSound
from avdet_ros.simulation.scene import AUDIBLE_DB, Noise, Scene
from avdet_ros.simulation.sound_in_view import rest_db
from avdet_ros.simulation.spectral_features import spectral_features
from avdet_ros.simulation.truth import Truth
from avdet_ros.simulation.window_rows import array_row, labels_row
from avdet_ros.simulation.windows import WindowRow

OTHER_DRIVE = 1_000_000
"""Seed difference between a drive and the one mixed into it; no set contains such seeds."""

NOTHING = Noise(insertion_db=200.0, wind_db=-200.0, self_db=-200.0, ambient_db=-200.0)
"""Noise without audible ego vehicle or wind."""


@dataclass(frozen=True)
class Instant:
    """Labels and total sound level at one instant of a drive.

    Attributes:
        labels: vehicles to be reported.
        level_db: A-weighted level of all vehicles, wind and hum together at the array, dB(A).
    """

    labels: AngleLabels
    level_db: float


@dataclass(frozen=True)
class ReceivedWindow:
    """A window of a drive as received by several arrays with the same centre.

    Attributes:
        scenes: the drive with each array.
        spectra: (A, frames, 16, bins) float32, see `QuickSound.spectra`.
        now: the instant at the window's centre.
        end: the instant at its end.
        coming: see `blind_corners.coming_sides`.
        about: see `array_windows.moment_row`.
    """

    scenes: list[Scene]
    spectra: np.ndarray
    now: Instant
    end: Instant
    coming: np.ndarray
    about: WindowRow


def drive_windows(
    seed: int, base: Rig, front_end: FrontEnd, plan: WindowPlan
) -> Iterator[WindowRow]:
    """Yield the rows of a drive; a dense plan adds those of mixtures."""
    make = dense_windows if plan.dense else array_windows
    return make(seed, base, front_end, plan)


def dense_windows(
    seed: int, base: Rig, front_end: FrontEnd, plan: WindowPlan
) -> Iterator[WindowRow]:
    """Yield rows of `array_windows`, then those of mixtures with another drive in the same air.

    A mixture has the seed, time and world of the first drive. Its ego speed is unknown, because
    the two drives differ, and its ``rendered`` number is unique.

    Args:
        seed: seed of the drive.
        base: see `arrays.draw_rig`.
        front_end: computes the features.
        plan: plan of the set.
    """
    arrays = [array_of(seed, base, plan, number) for number in range(plan.arrays_a_window)]
    world = draw_world(seed, base, plan)
    other = replace(
        draw_world(seed + OTHER_DRIVE, base, plan),
        temperature_c=world.temperature_c,
        humidity_percent=world.humidity_percent,
        noise=NOTHING,
    )
    first, second = (
        list(_received_windows([place_array(drive, array) for array in arrays], front_end, plan))
        for drive in (world, other)
    )
    mixtures = [
        mixed_window(one, another, -int(seed * len(first) * len(second) + number + 1))
        for number, (one, another) in enumerate(product(first, second))
    ]
    for window in (*first, *mixtures):
        labels = labels_row(window.now.labels, window.end.labels, window.coming)
        for scene, array, spectra in zip(window.scenes, arrays, window.spectra, strict=True):
            features = spectral_features(spectra, front_end).astype(np.float16)
            row = {**labels, **array_row(scene, array), **window.about}
            yield {'features': features, **row}


def mixed_labels(one: Instant, other: Instant) -> AngleLabels:
    """Return the vehicles of both drives that stay audible in the mixture, nearest first."""
    covered = [
        _with_other_sound(one.labels, other.level_db),
        _with_other_sound(other.labels, one.level_db),
    ]
    truth = _joined([labels.truth for labels in covered])
    angles = {
        name: np.concatenate([getattr(labels, name) for labels in covered])
        for name in ('azimuth_deg', 'elevation_deg', 'width_deg', 'height_deg', 'in_image')
    }
    order = np.argsort(truth.distance_m, kind='stable')
    order = order[truth.audible[order]]
    return AngleLabels(
        **{name: values[order] for name, values in angles.items()}, truth=truth.only(order)
    )


def _received_windows(
    scenes: list[Scene], front_end: FrontEnd, plan: WindowPlan
) -> Iterator[ReceivedWindow]:
    sound, window_s = QuickSound(scenes, front_end), front_end.window_s
    for number, start_s in enumerate(starts_of(scenes[0], plan, window_s)):
        yield ReceivedWindow(
            scenes,
            sound.spectra(start_s, number).copy(),
            instant(scenes[0], start_s + window_s / 2),
            instant(scenes[0], start_s + window_s),
            coming_sides(scenes[0], start_s + window_s),
            moment_row(scenes[0], plan, number, start_s, window_s),
        )


def mixed_window(one: ReceivedWindow, other: ReceivedWindow, number: int) -> ReceivedWindow:
    """Mix two windows; `number` becomes the mixture's ``rendered``."""
    return ReceivedWindow(
        one.scenes,
        one.spectra + other.spectra,
        _mixed_instant(one.now, other.now),
        _mixed_instant(one.end, other.end),
        one.coming | other.coming,
        {**one.about, 'ahead_mps': np.float32(np.nan), 'rendered': np.int64(number)},
    )


def instant(scene: Scene, t_s: float) -> Instant:
    """Compute labels and total sound level at a time of a drive."""
    near = only_near(scene, t_s)
    truth = near.truth(t_s)
    level_db = float(cnossos.add_levels(*truth.level_db, rest_db(scene, t_s)))
    return Instant(angle_labels(near, t_s, truth), level_db)


def _mixed_instant(one: Instant, other: Instant) -> Instant:
    level_db = float(cnossos.add_levels(one.level_db, other.level_db))
    return Instant(mixed_labels(one, other), level_db)


def _with_other_sound(labels: AngleLabels, level_db: float) -> AngleLabels:
    """Add another sound to the rest level of each vehicle, and update which are audible."""
    truth = labels.truth
    rest = cnossos.add_levels(truth.rest_db, level_db)
    audible = truth.level_db - rest >= AUDIBLE_DB
    return replace(labels, truth=replace(truth, rest_db=rest.astype(np.float32), audible=audible))


def _joined(truths: list[Truth]) -> Truth:
    arrays = {
        name: np.concatenate([getattr(truth, name) for truth in truths])
        for name, value in vars(truths[0]).items()
        if isinstance(value, np.ndarray)
    }
    kinds = tuple(kind for truth in truths for kind in truth.kinds)
    return Truth(time_s=truths[0].time_s, kinds=kinds, **arrays)
