"""Accuracy and cost of quick windows compared with exact ones.

Both methods render the same drives with the same signals and noise, so they differ only by what
the quick method leaves out. Cost is compared as training windows are made: the quick method with
three arrays per window and its own noise.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
import time

import numpy as np

from avdet_ros.audio.features import FrontEnd, pool_frames
from avdet_ros.rig import MICROPHONES, Rig
from avdet_ros.simulation.array_windows import (
    WindowPlan,
    array_of,
    draw_world,
    place_array,
    window_starts_s,
)
from avdet_ros.simulation.dense_windows import drive_windows
from avdet_ros.simulation.path_ways import reading_filters
from avdet_ros.simulation.propagation import sinc_filters
from avdet_ros.simulation.quick_paths import Source
from avdet_ros.simulation.quick_sound import QuickSound
from avdet_ros.simulation.sound import SoundRenderer
from avdet_ros.simulation.spectral_features import spectral_features

DRIVES = range(100_200, 100_230)
WELL_DEFINED = 0.5
"""Minimum magnitude of coherences whose direction is compared."""

HIGHEST_HZ = 15_000.0
"""Above this frequency, the exact renderer's own interpolation is not exact."""


@dataclass(frozen=True)
class Difference:
    """Differences in one window, over cells of mel band and pooled frame.

    Attributes:
        level_db: mean of |difference| of levels.
        bias_db: mean of the signed difference.
        coherence: mean of |difference| of complex coherences, in well-defined cells.
        phase_us: median difference, in the same cells, of the delay between two microphones, from
            the phase at the band's centre.
    """

    level_db: float
    bias_db: float
    coherence: float
    phase_us: float


class ExactSignals:
    """A renderer's signals and noise, for `QuickSound` to play."""

    def __init__(self, renderer: SoundRenderer) -> None:
        """Wrap a renderer; `QuickSound` applies the gains."""
        self.renderer = renderer

    def source(self, source: Source, low_s: float, high_s: float) -> tuple[np.ndarray, int]:
        """See `quick_signals.SignalSource`."""
        rate = self.renderer.rate
        first = int(low_s * rate) - 40
        if source.vehicle is not None:
            signal = self.renderer._signal(source.vehicle, source.name[1], source.name[2])
        else:
            (distractor,) = [
                sound
                for sound in self.renderer.scene.distractors
                if sound.number == source.name[0]
            ]
            signal = self.renderer._distractor_signal(distractor)
        sound = signal.read(first, int((high_s - low_s) * rate) + 400)
        return reading_filters(sound, sinc_filters(rate)), first

    def noise(self, first: int, count: int) -> np.ndarray:
        """See `quick_signals.SignalSource`."""
        return np.stack([self.renderer._noise[m].read(first, count) for m in range(MICROPHONES)])


def differences(world: str, rig: Rig, seeds: Iterable[int] = DRIVES) -> list[Difference]:
    """Compare one window of each drive, with all microphones alive and no dropouts."""
    front_end, plan = FrontEnd.of(rig), WindowPlan(world)
    centres_hz = _centres_hz(front_end)
    bands = centres_hz < HIGHEST_HZ
    found = []
    for seed in seeds:
        scene = place_array(draw_world(seed, rig, plan), array_of(seed, rig, plan))
        errors = replace(
            scene.corruption,
            dead=np.zeros(MICROPHONES, bool),
            gaps_s=np.zeros((0, 2)),
            clock_ppm=0.0,
        )
        scene = replace(scene, corruption=errors)
        start_s = window_starts_s(seed, plan)[0]
        exact = SoundRenderer(scene)
        first = round(start_s * rig.sample_rate_hz)
        sound = exact.read(first, front_end.samples)
        exact_features = pool_frames(front_end.compute(sound))
        quick = QuickSound([scene], front_end, ExactSignals(SoundRenderer(scene)))
        quick_features = spectral_features(quick.spectra(start_s)[0], front_end)
        level = (quick_features - exact_features)[:MICROPHONES, bands]
        exact_coherence = (
            exact_features[MICROPHONES::2] + 1j * exact_features[MICROPHONES + 1 :: 2]
        )
        quick_coherence = (
            quick_features[MICROPHONES::2] + 1j * quick_features[MICROPHONES + 1 :: 2]
        )
        cells = (np.abs(exact_coherence) >= WELL_DEFINED) & bands[:, None]
        turn = (
            np.angle(quick_coherence * exact_coherence.conj())
            / (2 * np.pi * centres_hz[:, None])
            * 1e6
        )
        found.append(
            Difference(
                float(np.abs(level).mean()),
                float(level.mean()),
                float(np.abs(quick_coherence - exact_coherence)[cells].mean())
                if cells.any()
                else 0.0,
                float(np.median(np.abs(turn[cells]))) if cells.any() else 0.0,
            )
        )
    return found


@dataclass(frozen=True)
class Cost:
    """Processor seconds per row of a set of windows.

    Attributes:
        exact_s: exact method, one array per window.
        quick_s: quick method, three arrays per window.
        dense_s: as `quick_s`, each window also with another drive's vehicles.
        windows: number of windows made with each method.
    """

    exact_s: float
    quick_s: float
    dense_s: float
    windows: int


def costs(world: str, rig: Rig, seeds: Iterable[int] = DRIVES[:12]) -> Cost:
    """Time windows of several drives: exact, quick, and mixed with another drive's vehicles."""
    front_end = FrontEnd.of(rig)
    exact = WindowPlan(world)
    quick = replace(exact, arrays_a_window=3, quick=True)
    plans = {'exact': exact, 'quick': quick, 'dense': replace(quick, dense=True)}
    row_s, rows = {}, {}
    for name, plan in plans.items():
        for _ in drive_windows(DRIVES[-1], rig, front_end, plan):
            pass  # compiles the code before timing
        began = time.process_time()
        rows[name] = sum(1 for seed in seeds for _ in drive_windows(seed, rig, front_end, plan))
        row_s[name] = (time.process_time() - began) / rows[name]
    return Cost(row_s['exact'], row_s['quick'], row_s['dense'], rows['exact'])


def _centres_hz(front_end: FrontEnd) -> np.ndarray:
    filters = front_end.mel_filters
    bins_hz = np.fft.rfftfreq(front_end.n_fft, 1 / front_end.sample_rate_hz)
    return filters @ bins_hz / filters.sum(axis=1)
