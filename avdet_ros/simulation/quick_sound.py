"""Spectra of a window of a drive for several arrays with the same centre.

This is a cheap alternative to the exact `sound.SoundRenderer`. Noise comes from a bank and is
shaped frame by frame, each path is read once for all microphones (`path_spectra`), inaudible paths
are left out, and several arrays with the same centre share all of this. `docs/simulation.md`
compares both. Clipping and clock drift of the sound card are not included.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy import fft

from avdet_ros.audio.features import FrontEnd
from avdet_ros.rig import MICROPHONES
from avdet_ros.simulation.engine import Engine
from avdet_ros.simulation.path_spectra import (
    BINS,
    FRAME,
    HOP,
    KNOT,
    LANES,
    add_noise,
    add_ways,
    apply_window,
    knots_for,
    phase_tables,
)
from avdet_ros.simulation.path_ways import solve_way
from avdet_ros.simulation.quick_audible import leave_out
from avdet_ros.simulation.quick_paths import GRID_S, Source, Stage, find_sources, make_stage
from avdet_ros.simulation.quick_signals import SignalSource, SourceReader
from avdet_ros.simulation.scene import Scene

EDGE_FRAMES = 8
"""Frames at each end from which the reflected edges are computed."""

_LEAD = 1


class QuickSound:
    """Renderer of windows of one drive for several arrays with the same centre.

    Args:
        scenes: the same drive with each of the arrays; the first array gives the centre.
        front_end: defines the frames.
        replacement: for checks, the signals to play.
    """

    def __init__(
        self,
        scenes: Sequence[Scene],
        front_end: FrontEnd,
        replacement: SignalSource | None = None,
    ) -> None:
        if (front_end.n_fft, front_end.hop_length) != (FRAME, HOP):
            raise ValueError(f'the front end has other frames than {FRAME} by {HOP}')
        self.scene, self.scenes, self.front_end = scenes[0], scenes, front_end
        self.rate = front_end.sample_rate_hz
        self.frames = front_end.frames + 2 * _LEAD
        self.replacement = replacement
        self.reader = SourceReader(self.scene, self.frames, replacement)
        self._engines: dict[int, Engine] = {}

    def spectra(self, start_s: float, number: int = 0) -> np.ndarray:
        """Compute the spectra of the front end's frames of one window.

        Args:
            start_s: start of the window, rounded to a sample.
            number: index of the window in the drive; seeds its noise.

        Returns:
            (A, frames, 16, bins) float32, see `spectral_features`; zeros for a microphone that
            the rig file marks as dead. The next call overwrites it.
        """
        rng = np.random.default_rng([self.scene.seed, 12, number])
        first = round(start_s * self.rate) - _LEAD * HOP - FRAME // 2
        begin_s = first / self.rate
        knots = knots_for(self.frames)
        end_s = (first + (knots + 1) * KNOT) / self.rate
        stage = make_stage(self.scene, begin_s, end_s)
        noise_bands = self.scene.noise.bands_db(float(self.scene.ego.speed_mps(start_s + 0.5)))
        sources = find_sources(self.scene, stage, self._engines)
        sources = leave_out(
            sources,
            stage,
            self.scene,
            noise_bands,
            begin_s,
            end_s,
        )
        out = _workspace('out', (len(self.scenes), self.frames, LANES, BINS), np.float32)
        out[...] = 0
        self._add_sources(out, sources, stage, begin_s, knots, rng)
        if self.replacement is None:
            self._add_noise(out, noise_bands, rng)
        else:
            count = (self.frames - 1) * HOP + FRAME
            self._add_spectra(out, self.replacement.noise(first, count))
        self._apply_gains(out)
        found = self._reflected(out)
        for row, scene in enumerate(self.scenes):
            self._apply_gaps(found[row], out[row], scene.corruption.gaps_s - [start_s, 0])
        return found

    def _add_sources(
        self,
        out: np.ndarray,
        sources: list[Source],
        stage: Stage,
        begin_s: float,
        knots: int,
        rng: np.random.Generator,
    ) -> None:
        count = sum(len(source.ways) for source in sources)
        spectra = _workspace('ways', (count, self.frames, BINS), np.complex64)
        arrays = len(self.scenes)
        delay = np.empty((count, arrays, knots, MICROPHONES))
        gain = np.empty((count, arrays, knots, MICROPHONES))
        te, slope = np.empty((count, knots)), np.empty((count, knots))
        bins = np.array([limit for source in sources for limit in source.bins], np.int64)
        microphones, outward = self._microphones(stage)
        shading = np.array([scene.corruption.shading_db for scene in self.scenes])
        none = np.zeros(arrays)
        row = 0
        for source in sources:
            rows = range(row, row + len(source.ways))
            row += len(source.ways)
            for index, way in zip(rows, source.ways, strict=True):
                solve_way(
                    way.places_m,
                    way.weight,
                    stage.array,
                    microphones,
                    outward,
                    shading if source.shaded else none,
                    stage.first,
                    GRID_S,
                    begin_s,
                    KNOT / self.rate,
                    self.scene.speed_of_sound_mps,
                    te[index],
                    slope[index],
                    delay[index],
                    gain[index],
                )
            ways = slice(rows.start, rows.stop)
            self.reader.read(source, stage, te[ways], slope[ways], spectra[ways], rng)
        early = np.array([scene.corruption.delay_samples for scene in self.scenes])
        delay = delay * self.rate - early[:, None]
        add_ways(spectra, bins, delay, gain, *phase_tables(), out)
        apply_window(out)

    def _microphones(self, stage: Stage) -> tuple[np.ndarray, np.ndarray]:
        """Return positions and outward directions (A, 8, G, 3) of all microphones."""
        places = np.array([scene.microphones_m() for scene in self.scenes])
        outward = places - np.array([s.rig.array_position_m for s in self.scenes])[:, None]
        outward /= np.maximum(np.linalg.norm(outward, axis=-1, keepdims=True), 1e-9)
        turned = np.einsum('gij,amj->amgi', stage.rotation, places) + stage.position
        return (
            np.ascontiguousarray(turned),
            np.ascontiguousarray(np.einsum('gij,amj->amgi', stage.rotation, outward)),
        )

    def _add_noise(self, out: np.ndarray, bands_db: np.ndarray, rng: np.random.Generator) -> None:
        """Add wind, hum and self-noise of each microphone, and the card's rounding."""
        arrays = len(self.scenes)
        count = arrays * MICROPHONES
        # no two microphones of an array use the same section of the bank
        room = len(self.reader.bank.spectra_re) // MICROPHONES
        places = np.array([rng.permutation(MICROPHONES) for _ in range(arrays)])
        first = places * room + rng.integers(0, room - self.frames, places.shape)
        turn = rng.uniform(0, 2 * np.pi, count).reshape(arrays, MICROPHONES)
        level = np.empty((arrays, MICROPHONES, BINS), np.float32)
        calm = self.reader.noise_amplitude(bands_db)
        for m in range(MICROPHONES):
            gust = self.scene.noise.gust_bands_db(m)
            windy = gust is not None and gust.any()
            level[:, m] = self.reader.noise_amplitude(bands_db + gust) if windy else calm
        add_noise(
            self.reader.bank.spectra_re, self.reader.bank.spectra_im, first, turn, level, out
        )

    def _add_spectra(self, out: np.ndarray, sound: np.ndarray) -> None:
        """Add a waveform to the microphones of all arrays."""
        frames = sliding_window_view(sound, FRAME, axis=-1)[:, ::HOP] * _taper()
        spectra = fft.rfft(frames, axis=-1).transpose(1, 0, 2)
        out[:, :, :MICROPHONES] += spectra.real
        out[:, :, MICROPHONES:] += spectra.imag

    def _apply_gains(self, out: np.ndarray) -> None:
        for row, scene in enumerate(self.scenes):
            errors = scene.corruption
            gain = (10 ** (errors.gain_db / 20) * ~errors.dead).astype(np.float32)
            if (gain != 1).any():
                out[row] *= np.concatenate([gain, gain])[:, None]

    def _reflected(self, out: np.ndarray) -> np.ndarray:
        """Return the front end's frames; at the edges it reflects the window's sound."""
        samples, half = self.front_end.samples, FRAME // 2
        last = self.frames - EDGE_FRAMES
        for begin in (0, last):
            part = out[:, begin : begin + EDGE_FRAMES]
            frames = fft.irfft(part[:, :, :MICROPHONES] + 1j * part[:, :, MICROPHONES:], axis=-1)
            sound = np.zeros(
                (*frames.shape[:1], MICROPHONES, (EDGE_FRAMES - 1) * HOP + FRAME), np.float32
            )
            for f in range(EDGE_FRAMES):
                sound[..., f * HOP : f * HOP + FRAME] += frames[:, f] / 2
            # position of the first of these samples in the window
            origin = (begin - _LEAD) * HOP - half
            inside = sound[..., max(-origin, 0) : samples - origin]
            if begin == 0:
                inside = inside[..., : 3 * HOP + half]
                whole = np.pad(inside, ((0, 0), (0, 0), (half, 0)), mode='reflect')
                indices: tuple[int, ...] = (0, 1)
                place = -half
            else:
                whole = np.pad(inside, ((0, 0), (0, 0), (0, FRAME - half)), mode='reflect')
                place = max(origin, 0)
                indices = tuple(
                    f for f in range(self.front_end.frames) if f * HOP + half > samples
                )
            for f in indices:
                at = f * HOP - half - place
                spectrum = fft.rfft(whole[..., at : at + FRAME] * _taper(), axis=-1)
                out[:, f + _LEAD, :MICROPHONES] = spectrum.real
                out[:, f + _LEAD, MICROPHONES:] = spectrum.imag
        return out[:, _LEAD : _LEAD + self.front_end.frames]

    def _apply_gaps(self, found: np.ndarray, spectra: np.ndarray, gaps_s: np.ndarray) -> None:
        """Set sound lost by the card to zero; times are relative to the window's start."""
        window_s = self.front_end.window_s
        inside = [(at, long) for at, long in gaps_s if at < window_s and at + long > 0]
        if not inside:
            return
        frames = fft.irfft(spectra[:, :MICROPHONES] + 1j * spectra[:, MICROPHONES:], axis=-1)
        sound = np.zeros((MICROPHONES, (self.frames - 1) * HOP + FRAME), np.float32)
        for f, frame in enumerate(frames):
            sound[:, f * HOP : f * HOP + FRAME] += frame / 2
        begin = _LEAD * HOP + FRAME // 2
        sound = sound[:, begin : begin + self.front_end.samples]
        for at, long in inside:
            first = round(at * self.rate)
            sound[:, max(first, 0) : max(first + round(long * self.rate), 0)] = 0
        padded = np.pad(sound, ((0, 0), (FRAME // 2, FRAME // 2)), mode='reflect')
        cut = sliding_window_view(padded, FRAME, axis=-1)[:, ::HOP][:, : self.front_end.frames]
        spectrum = fft.rfft(cut * _taper(), axis=-1).transpose(1, 0, 2)
        found[:, :MICROPHONES], found[:, MICROPHONES:] = spectrum.real, spectrum.imag


_KEPT: dict[str, np.ndarray] = {}


def _workspace(name: str, shape: tuple[int, ...], dtype: type) -> np.ndarray:
    """Return memory reused for each window; allocating it costs more than filling it."""
    size = int(np.prod(shape))
    if name not in _KEPT or len(_KEPT[name]) < size:
        _KEPT[name] = np.empty(size, dtype)
    return _KEPT[name][:size].reshape(shape)


@cache
def _taper() -> np.ndarray:
    phase = 2 * np.pi * np.arange(FRAME) / FRAME
    return (0.5 - 0.5 * np.cos(phase)).astype(np.float32)
