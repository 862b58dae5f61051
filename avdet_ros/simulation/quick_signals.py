"""Signals of a window's sources as spectra, one for each path.

Noise is read from the bank. The source's octave levels and the losses in air and around buildings
are applied as amplitudes that change every few frames. Tones are read along the engine's phase.
Anything else, such as a recording, is read from its own signal.
"""

from __future__ import annotations

from functools import cache, cached_property
from typing import Protocol

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy import fft

from avdet_ros.simulation import cnossos
from avdet_ros.simulation.atmosphere import air_absorption_db_per_m
from avdet_ros.simulation.buildings import screen_loss_db
from avdet_ros.simulation.distractors import SoundSource
from avdet_ros.simulation.engine import Engine
from avdet_ros.simulation.path_spectra import (
    BINS,
    FRAME,
    HOP,
    KNOT,
    density_db,
    shape_frames,
    shape_rows,
)
from avdet_ros.simulation.path_ways import read_signal, read_tones, reading_filters
from avdet_ros.simulation.propagation import POWERS, TAPS, sinc_filters
from avdet_ros.simulation.quick_paths import GRID_S, Source, Stage
from avdet_ros.simulation.scene import Scene
from avdet_ros.simulation.signals import BLOCK, FULL_SCALE_PA, REFERENCE_PA, Signal
from avdet_ros.simulation.vehicle_signals import played_signal
from avdet_ros.simulation.white_noise import NoiseBank, noise_bank

SHAPE_FRAMES = 16
"""Frames between two spectral shapes, with linear interpolation in between."""

TONE_EVERY = 4
"""Step in samples at which tones are read; tones lie below an eighth of the sample rate."""

_UNIT = REFERENCE_PA / FULL_SCALE_PA
_UNIT_OF_POWER = _UNIT / np.sqrt(2 * np.pi)
_NO_EXTRA = np.zeros((1, 0), np.float32)
_LEVEL = np.full(BINS, 3.5, np.float32)
"""Octave positions that place all bins between octave centres, where a flat density stays flat."""


class SignalSource(Protocol):
    """Signals that replace the bank's noise, for comparison with a renderer that uses the same."""

    def source(self, source: Source, low_s: float, high_s: float) -> tuple[np.ndarray, int]:
        """Return a signal's rows (`path_ways.reading_filters`) and the position of the first."""

    def noise(self, first: int, count: int) -> np.ndarray:
        """Return (8, count) noise of the microphones, starting at sample `first`."""


class SourceReader:
    """Reader of the sources of one drive.

    Args:
        scene: the drive.
        frames: number of frames of a window.
        replacement: for checks, the signals to play.
    """

    def __init__(self, scene: Scene, frames: int, replacement: SignalSource | None = None) -> None:
        self.scene, self.frames, self.replacement = scene, frames, replacement
        self.rate = scene.rig.sample_rate_hz
        self.bank: NoiseBank = noise_bank(self.rate)
        self._signals: dict[int, Signal] = {}
        frequency = np.arange(BINS + 1) * self.rate / FRAME
        self._loss = self._air_db(frequency)
        self._octaves = np.log2(np.maximum(frequency[:-1], 1.0) / cnossos.BANDS_HZ[0]).astype(
            np.float32
        )
        self._frequency = frequency[:-1]
        self._asphalt = _asphalt(self.rate)
        # buffers reused for each path, and views of their frames
        self._samples = np.empty((frames - 1) * HOP + FRAME, np.float32)
        self._cut = sliding_window_view(self._samples, FRAME)[::HOP]
        hop, length = HOP // TONE_EVERY, FRAME // TONE_EVERY
        self._tone_samples = np.empty((frames - 1) * hop + length, np.float32)
        self._tone_cut = sliding_window_view(self._tone_samples, length)[::hop]

    def _air_db(self, frequency_hz: np.ndarray) -> np.ndarray:
        """Return (F,) float32 loss in air, dB per metre."""
        scene = self.scene
        return air_absorption_db_per_m(
            frequency_hz, scene.temperature_c, scene.humidity_percent
        ).astype(np.float32)

    def read(
        self,
        source: Source,
        stage: Stage,
        te: np.ndarray,
        slope: np.ndarray,
        out: np.ndarray,
        rng: np.random.Generator,
    ) -> None:
        """Compute the spectra of all paths of a source.

        Args:
            source: the source.
            stage: the grid of its paths.
            te: (W, K) emission times at the knots, see `path_ways.solve_way`.
            slope: (W, K) their derivatives.
            out: (W, frames, BINS) complex64, filled with spectra without a window.
            rng: chooses the section of the bank.
        """
        rate = self.rate
        low_s, high_s = te.min(), te.max()
        complete = True
        if self.replacement is not None:
            rows, first = self.replacement.source(source, low_s, high_s)
        elif (signal := self._own_signal(source, stage)) is not None:
            first = int(low_s * rate) - 40
            sound = signal.read(first, int((high_s - low_s) * rate) + 400)
            rows = reading_filters(sound, sinc_filters(rate))
        else:
            complete = False
            rows = self.bank.rows
            span = int((high_s - low_s) * rate) + 16
            first = int(low_s * rate) - 8 - int(rng.integers(0, len(rows) - span - 16))
        shapes = [] if complete else self._shapes(source, stage, te, slope)
        table = None
        if source.engine is not None:
            table = source.engine.table(float(te[0][te.shape[1] // 2]), _no_loss())
            if table is not None:  # each sample read also represents the skipped ones
                table = table * np.float32(TONE_EVERY * _UNIT_OF_POWER)
        for index, way in enumerate(source.ways):
            read_signal(
                rows, first, te[index], slope[index], KNOT / rate, float(rate), self._samples
            )
            spectra = fft.rfft(self._cut, axis=-1)
            surface: np.ndarray | np.float32 = (
                self._asphalt if way.surface == 'asphalt' else np.float32(1)
            )
            if complete:  # levels and losses in air are included
                out[index] = spectra * surface
                continue
            noise, tones = shapes[index]
            shape_frames(spectra, noise * surface, SHAPE_FRAMES, out[index], False)
            if table is not None and source.engine is not None and tones is not None:
                received = self._tone_spectra(source.engine, table, te[index], slope[index])
                limit = received.shape[1]
                shape_frames(
                    received,
                    tones * (surface[:limit] if isinstance(surface, np.ndarray) else surface),
                    SHAPE_FRAMES,
                    out[index],
                    True,
                )

    @cached_property
    def _block_hz(self) -> np.ndarray:
        """(F,) frequencies of the bins of a signal's block."""
        return np.arange(BLOCK // 2 + 1) * self.rate / BLOCK

    @cached_property
    def _block_loss(self) -> np.ndarray:
        """(F,) float32 loss in air at `_block_hz`, dB per metre."""
        return self._air_db(self._block_hz)

    def _signal(self, sound: SoundSource) -> Signal:
        """Return the signal of a non-vehicle source, created at first use."""
        if sound.number not in self._signals:
            scene, loss = self.scene, self._block_loss

            def loss_db(t_s: float) -> np.ndarray:
                apart = sound.place(t_s) - scene.ego.pose(t_s)[0]
                return loss * np.float32(np.linalg.norm(apart))

            key = scene.seed, (2 << 32) + sound.number
            self._signals[sound.number] = sound.signal(key, self.rate, loss_db)
        return self._signals[sound.number]

    def _own_signal(self, source: Source, stage: Stage) -> Signal | None:
        """Return the signal of a non-vehicle or recorded source; None for noise and tones only."""
        if source.sound is not None:
            return self._signal(source.sound)
        scene, vehicle = self.scene, source.vehicle
        if scene.recordings is None or vehicle is None:
            return None
        frequency, loss = self._block_hz, self._block_loss

        def loss_db(t_s: float) -> np.ndarray:
            place = int(np.clip(round(t_s / GRID_S) - stage.first, 0, len(stage.times_s) - 1))
            air_db = loss * np.float32(source.air_m[place])
            if source.detour_m is None:
                return air_db
            detour = source.detour_m[place : place + 1]
            c = scene.speed_of_sound_mps
            return air_db + screen_loss_db(detour, frequency, c)[0].astype(np.float32)

        return played_signal(
            vehicle, source.name[1], scene.seed, self.rate, loss_db, scene.recordings
        )

    def _tone_spectra(
        self, engine: Engine, table: np.ndarray, te: np.ndarray, slope: np.ndarray
    ) -> np.ndarray:
        """Return (F, bins of the tones) complex64 spectra of an engine's tones without losses."""
        cycles, per_s = engine.phase(te)
        step = KNOT / self.rate
        read_tones(table, cycles, per_s * slope * step, TONE_EVERY, self._tone_samples)
        return fft.rfft(self._tone_cut, axis=-1)

    def _shapes(
        self, source: Source, stage: Stage, te: np.ndarray, slope: np.ndarray
    ) -> list[tuple[np.ndarray, np.ndarray | None]]:
        """Return each path's amplitudes (S, BINS) of noise and tones, for a mean square of 1."""
        steps = np.arange(0, self.frames + SHAPE_FRAMES, SHAPE_FRAMES) * HOP + FRAME // 2
        knots = np.minimum(steps // KNOT, te.shape[1] - 1)
        times = te[0][knots]
        levels = np.maximum(source.noise_db(times), -200.0)
        reference = levels[len(levels) // 2]
        density = density_db(reference, float(self.rate)) + levels - reference
        place = np.clip(times / GRID_S - stage.first, 0, len(stage.times_s) - 1)
        air_m = np.interp(place, np.arange(len(source.air_m)), source.air_m)
        extra = _NO_EXTRA
        if source.detour_m is not None:
            detour = source.detour_m[np.round(place).astype(int)]
            c = self.scene.speed_of_sound_mps
            extra = screen_loss_db(detour, self._frequency, c).astype(np.float32)
        scale = _UNIT_OF_POWER * np.sqrt(self.rate / 2)
        gain_db = None
        if source.engine is not None and source.vehicle is not None:
            power = source.engine.sound.propulsion_db(source.vehicle.speed_mps(times))
            total = cnossos.add_levels(*np.moveaxis(power[:, :5], 1, 0))
            middle = source.vehicle.speed_mps(te[0][te.shape[1] // 2])
            then = cnossos.add_levels(*source.engine.sound.propulsion_db(middle)[:5])
            gain_db = total - then if np.isfinite(then) else np.full(len(times), -200.0)
            flat = np.repeat(gain_db[:, None], 8, axis=1)
        found = []
        for index in range(len(source.ways)):
            noise = np.empty((len(times), BINS), np.float32)
            rates = slope[index][knots]
            shape_rows(density, self._loss, air_m, extra, rates, self._octaves, scale, noise)
            tones = None
            if gain_db is not None:
                tones = np.empty((len(times), FRAME // TONE_EVERY // 2 + 1), np.float32)
                shape_rows(flat, self._loss, air_m, extra, rates, _LEVEL, 1.0, tones)
            found.append((noise, tones))
        return found

    def noise_amplitude(self, bands_db: np.ndarray) -> np.ndarray:
        """Return (BINS,) float32 amplitude of microphone noise with given octave levels."""
        density = density_db(np.maximum(bands_db, -200.0), float(self.rate))[None]
        shape = np.empty((1, BINS), np.float32)
        shape_rows(
            density,
            self._loss,
            np.zeros(1),
            _NO_EXTRA,
            np.ones(1),
            self._octaves,
            _UNIT * np.sqrt(self.rate / 2),
            shape,
        )
        # rounding to 16 bits adds white noise with a twelfth of a squared step
        return np.sqrt(shape[0] ** 2 + np.float32(1 / 12 / 32768**2))


@cache
def _asphalt(sample_rate_hz: int) -> np.ndarray:
    """Return (BINS,) float32 gain of a reflection in `propagation.sinc_filters` at each bin."""
    place = np.linspace(0.05, 0.95, 19)
    powers = np.vander(place - 0.5, POWERS, increasing=True)
    distance = np.arange(TAPS) - (TAPS // 2 - 1) - place[:, None]
    turn = np.exp(2j * np.pi * np.arange(BINS)[:, None, None] / FRAME * distance)
    response = [
        np.abs(np.sum(powers @ sinc_filters(sample_rate_hz, surface) * turn, axis=-1)).mean(axis=1)
        for surface in ('asphalt', 'none')
    ]
    return (response[0] / np.maximum(response[1], 0.05)).astype(np.float32)


@cache
def _no_loss() -> np.ndarray:
    return np.zeros(BLOCK // 2 + 1, np.float32)
