"""Spectra of a window of a drive for several arrays about one point.

Cheap where `sound.SoundRenderer` is exact: noise comes from a bank and is given its spectrum frame
by frame, each path is read once for all microphones (`path_spectra`), inaudible paths are left
out, and several arrays about one point share all of it. `docs/simulation.md` has how far both are
apart. Not in it: a card that clips, and the drift of its clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Protocol

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy import fft

from avdet_ros.audio.features import FrontEnd
from avdet_ros.rig import MICROPHONES
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
    LANES,
    add_noise,
    add_ways,
    apply_window,
    density_db,
    knots_for,
    phase_tables,
    read_signal,
    read_tones,
    reading_filters,
    shape_frames,
    shape_rows,
    solve_way,
)
from avdet_ros.simulation.propagation import POWERS, TAPS, sinc_filters
from avdet_ros.simulation.quick_paths import (
    GRID_S,
    Source,
    Stage,
    Way,
    find_sources,
    make_stage,
)
from avdet_ros.simulation.scene import Scene
from avdet_ros.simulation.signals import (
    BLOCK,
    FULL_SCALE_PA,
    REFERENCE_PA,
    Signal,
)
from avdet_ros.simulation.white_noise import NoiseBank, noise_bank

LEFT_OUT = 2e-3
"""Part of the energy in each octave band that may be left out."""

SHAPE_FRAMES = 16
"""Frames between two spectral shapes; linear in between."""

TONE_EVERY = 4
"""Step in samples at which tones are read; they lie below an eighth of the sample rate."""

EDGE_FRAMES = 8
"""Frames at each end that the reflected edges are made of."""

_LEAD = 1
_UNIT = REFERENCE_PA / FULL_SCALE_PA
_UNIT_OF_POWER = _UNIT / np.sqrt(2 * np.pi)
_NO_EXTRA = np.zeros((1, 0), np.float32)


class GivenSignals(Protocol):
    """Signals to play in place of the bank's noise, to compare with a renderer that has them."""

    def source(self, source: Source, low_s: float, high_s: float) -> tuple[np.ndarray, int]:
        """Rows of a signal (`path_spectra.reading_filters`), and the first one's place."""

    def noise(self, first: int, count: int) -> np.ndarray:
        """(8, count) noise of the microphones from a sample on."""


class QuickSound:
    """Renders windows of one drive for some arrays about one point.

    Args:
        scenes: the same drive with each of the arrays; the arrays' centre is the first one's.
        front_end: gives the frames.
        given: for checks, the signals to play.
    """

    def __init__(
        self,
        scenes: Sequence[Scene],
        front_end: FrontEnd,
        given: GivenSignals | None = None,
    ) -> None:
        if (front_end.n_fft, front_end.hop_length) != (FRAME, HOP):
            raise ValueError(f'the front end has other frames than {FRAME} by {HOP}')
        self.scene, self.scenes, self.front_end = scenes[0], scenes, front_end
        self.rate = front_end.sample_rate_hz
        self.frames = front_end.frames + 2 * _LEAD
        self.given = given
        self.bank: NoiseBank = noise_bank(self.rate)
        self._engines: dict[int, Engine] = {}
        self._signals: dict[int, Signal] = {}
        frequency = np.arange(BINS + 1) * self.rate / FRAME
        scene = self.scene
        self._loss = air_absorption_db_per_m(
            frequency, scene.temperature_c, scene.humidity_percent
        ).astype(np.float32)
        self._loss_bands = air_absorption_db_per_m(
            cnossos.BANDS_HZ, scene.temperature_c, scene.humidity_percent
        )
        self._octaves = np.log2(np.maximum(frequency[:-1], 1.0) / cnossos.BANDS_HZ[0]).astype(
            np.float32
        )
        self._frequency = frequency[:-1]
        self._asphalt = _asphalt(self.rate)

    def spectra(self, start_s: float, number: int = 0) -> np.ndarray:
        """Spectra of the front end's frames of one window.

        Args:
            start_s: the window's first sample, rounded to one.
            number: of the window in the drive; seeds its noise.

        Returns:
            (A, frames, 16, bins) float32, see `spectral_features`; zeros for a microphone that
            the rig file marks as dead.
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
            self._loss_bands,
            noise_bands,
            begin_s,
            end_s,
            self.scene.speed_of_sound_mps,
            self.rate,
        )
        out = _workspace('out', (len(self.scenes), self.frames, LANES, BINS), np.float32)
        out[...] = 0
        self._add_sources(out, sources, stage, begin_s, knots, rng)
        if self.given is None:
            self._add_noise(out, noise_bands, rng)
        else:
            count = (self.frames - 1) * HOP + FRAME
            self._add_spectra(out, self.given.noise(first, count))
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
            self._read_source(source, stage, te[ways], slope[ways], spectra[ways], rng)
        early = np.array([scene.corruption.delay_samples for scene in self.scenes])
        delay = delay * self.rate - early[:, None]
        add_ways(spectra, bins, delay, gain, *phase_tables(), out)
        apply_window(out)

    def _microphones(self, stage: Stage) -> tuple[np.ndarray, np.ndarray]:
        """Positions and outward directions (A, 8, G, 3) of all microphones."""
        places = np.array([scene.microphones_m() for scene in self.scenes])
        outward = places - np.array([s.rig.array_position_m for s in self.scenes])[:, None]
        outward /= np.maximum(np.linalg.norm(outward, axis=-1, keepdims=True), 1e-9)
        turned = np.einsum('gij,amj->amgi', stage.rotation, places) + stage.position
        return (
            np.ascontiguousarray(turned),
            np.ascontiguousarray(np.einsum('gij,amj->amgi', stage.rotation, outward)),
        )

    def _read_source(
        self,
        source: Source,
        stage: Stage,
        te: np.ndarray,
        slope: np.ndarray,
        out: np.ndarray,
        rng: np.random.Generator,
    ) -> None:
        """Spectra of all paths of a source."""
        rate = self.rate
        low_s, high_s = te.min(), te.max()
        given = True
        if self.given is not None:
            rows, first = self.given.source(source, low_s, high_s)
        elif source.sound is not None:
            first = int(low_s * rate) - 40
            signal = self._signal(source.sound)
            sound = signal.read(first, int((high_s - low_s) * rate) + 400)
            rows = reading_filters(sound, sinc_filters(rate))
        else:
            given = False
            rows = self.bank.rows
            span = int((high_s - low_s) * rate) + 16
            first = int(low_s * rate) - 8 - int(rng.integers(0, len(rows) - span - 16))
        samples = np.empty((self.frames - 1) * HOP + FRAME, np.float32)
        shapes = [] if given else self._shapes(source, stage, te, slope)
        table = None
        if source.engine is not None:
            table = source.engine.table(float(te[0][te.shape[1] // 2]), _no_loss())
        for index, way in enumerate(source.ways):
            read_signal(rows, first, te[index], slope[index], KNOT / rate, float(rate), samples)
            spectra = fft.rfft(sliding_window_view(samples, FRAME)[::HOP], axis=-1)
            surface = self._asphalt if way.surface == 'asphalt' else np.float32(1)
            if given:  # with its level and the air's losses
                out[index] = spectra * surface
                continue
            noise, tones = shapes[index]
            shape_frames(spectra, noise * surface, SHAPE_FRAMES, out[index], False)
            if tones is not None:
                if table is None:
                    continue
                received = self._tone_spectra(source.engine, table, te[index], slope[index])
                limit = received.shape[1]
                shape_frames(
                    received,
                    tones * (surface if np.ndim(surface) == 0 else surface[:limit]),
                    SHAPE_FRAMES,
                    out[index],
                    True,
                )

    def _signal(self, sound: SoundSource) -> Signal:
        """The signal of what is no vehicle, made at first use."""
        if sound.number not in self._signals:
            scene = self.scene
            frequency = np.arange(BLOCK // 2 + 1) * self.rate / BLOCK
            loss = air_absorption_db_per_m(
                frequency, scene.temperature_c, scene.humidity_percent
            ).astype(np.float32)

            def loss_db(t_s: float) -> np.ndarray:
                apart = sound.place(t_s) - scene.ego.pose(t_s)[0]
                return loss * np.float32(np.linalg.norm(apart))

            key = scene.seed, (2 << 32) + sound.number
            self._signals[sound.number] = sound.signal(key, self.rate, loss_db)
        return self._signals[sound.number]

    def _tone_spectra(
        self, engine: Engine, table: np.ndarray, te: np.ndarray, slope: np.ndarray
    ) -> np.ndarray:
        """(F, bins of the tones) complex64 spectra of an engine's tones without losses."""
        length = FRAME // TONE_EVERY
        cycles, per_s = engine.phase(te)
        samples = np.empty((self.frames - 1) * HOP // TONE_EVERY + length, np.float32)
        read_tones(table, cycles, per_s * slope * (KNOT / self.rate), TONE_EVERY, samples)
        frames = sliding_window_view(samples, length)[:: HOP // TONE_EVERY]
        return fft.rfft(frames, axis=-1) * np.float32(TONE_EVERY * _UNIT_OF_POWER)

    def _shapes(
        self, source: Source, stage: Stage, te: np.ndarray, slope: np.ndarray
    ) -> list[tuple[np.ndarray, np.ndarray | None]]:
        """Amplitudes (S, BINS) of noise and tones of each path, for a signal of mean square 1."""
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
        if source.engine is not None:
            power = source.engine.sound.propulsion_db(source.vehicle.speed_mps(times))
            total = cnossos.add_levels(*np.moveaxis(power[:, :5], 1, 0))
            middle = source.vehicle.speed_mps(te[0][te.shape[1] // 2])
            then = cnossos.add_levels(*source.engine.sound.propulsion_db(middle)[:5])
            gain_db = total - then if np.isfinite(then) else np.full(len(times), -200.0)
        found = []
        for index in range(len(source.ways)):
            noise = np.empty((len(times), BINS), np.float32)
            rates = slope[index][knots]
            shape_rows(density, self._loss, air_m, extra, rates, self._octaves, scale, noise)
            tones = None
            if gain_db is not None:
                tones = np.empty((len(times), FRAME // TONE_EVERY // 2 + 1), np.float32)
                flat = np.repeat(gain_db[:, None], 8, axis=1)
                flat_octaves = np.full(BINS, 3.5, np.float32)
                shape_rows(flat, self._loss, air_m, extra, rates, flat_octaves, 1.0, tones)
            found.append((noise, tones))
        return found

    def _add_noise(self, out: np.ndarray, bands_db: np.ndarray, rng: np.random.Generator) -> None:
        """Wind, hum and self-noise of each microphone, and the card's rounding."""
        arrays = len(self.scenes)
        count = arrays * MICROPHONES
        # no two microphones of an array use the same stretch of the bank
        room = len(self.bank.spectra_re) // MICROPHONES
        places = np.array([rng.permutation(MICROPHONES) for _ in range(arrays)])
        first = places * room + rng.integers(0, room - self.frames, places.shape)
        turn = rng.uniform(0, 2 * np.pi, count).reshape(arrays, MICROPHONES)
        level = np.empty((arrays, MICROPHONES, BINS), np.float32)
        calm = self._noise_amplitude(bands_db)
        for m in range(MICROPHONES):
            gust = self.scene.noise.gust_bands_db(m)
            windy = gust is not None and gust.any()
            level[:, m] = self._noise_amplitude(bands_db + gust) if windy else calm
        add_noise(self.bank.spectra_re, self.bank.spectra_im, first, turn, level, out)

    def _add_spectra(self, out: np.ndarray, sound: np.ndarray) -> None:
        """Add a waveform to the microphones of all arrays."""
        frames = sliding_window_view(sound, FRAME, axis=-1)[:, ::HOP] * _taper()
        spectra = fft.rfft(frames, axis=-1).transpose(1, 0, 2)
        out[:, :, :MICROPHONES] += spectra.real
        out[:, :, MICROPHONES:] += spectra.imag

    def _noise_amplitude(self, bands_db: np.ndarray) -> np.ndarray:
        """(BINS,) float32 amplitude of a microphone's noise with some octave levels."""
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
        # rounding to 16 bits is white, with a twelfth of a step's square
        return np.sqrt(shape[0] ** 2 + np.float32(1 / 12 / 32768**2))

    def _apply_gains(self, out: np.ndarray) -> None:
        for row, scene in enumerate(self.scenes):
            errors = scene.corruption
            gain = (10 ** (errors.gain_db / 20) * ~errors.dead).astype(np.float32)
            if (gain != 1).any():
                out[row] *= np.concatenate([gain, gain])[:, None]

    def _reflected(self, out: np.ndarray) -> np.ndarray:
        """The front end's frames: at the edges it sees the window's sound reflected."""
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
            # place of the first of these samples in the window
            origin = (begin - _LEAD) * HOP - half
            inside = sound[..., max(-origin, 0) : samples - origin]
            if begin == 0:
                inside = inside[..., : 3 * HOP + half]
                whole = np.pad(inside, ((0, 0), (0, 0), (half, 0)), mode='reflect')
                indices, place = (0, 1), -half
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
        """Put zeros where the card lost sound, times from the window's start."""
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


def leave_out(
    sources: list[Source],
    stage: Stage,
    loss_db_per_m: np.ndarray,
    noise_db: np.ndarray,
    begin_s: float,
    end_s: float,
    c_mps: float,
    sample_rate_hz: int,
) -> list[Source]:
    """Paths to render: the others have less than `LEFT_OUT` of the energy in every octave.

    Also sets how many bins of each path are added.
    """
    times = np.linspace(begin_s, end_s, 5)
    ways, energies = [], []
    for source in sources:
        power = source.noise_db(times)
        if source.engine is not None:
            power = cnossos.add_levels(
                power, source.engine.sound.propulsion_db(source.vehicle.speed_mps(times))
            )
        for way in source.ways:
            energies.append(_energy(source, way, power, stage, loss_db_per_m, times, c_mps))
            ways.append((source, way))
    if not ways:
        return []
    energy = np.array(energies)  # (P, T, 8)
    total = energy.sum(axis=0) + 10 ** (noise_db / 10)
    part = (energy / total).max(axis=1)  # (P, 8)
    needed = np.zeros(part.shape, bool)
    for band in range(8):
        order = np.argsort(part[:, band])
        needed[order, band] = np.cumsum(part[order, band]) > LEFT_OUT
    for source in sources:
        source.bins = []
    kept: dict[int, list[Way]] = {}
    for (source, way), bands in zip(ways, needed, strict=True):
        if bands.any():
            last = int(np.flatnonzero(bands)[-1])
            edge_hz = cnossos.BANDS_HZ[last] * 2**0.75
            limit = BINS if last == 7 else int(edge_hz * FRAME / sample_rate_hz) + 4
            source.bins.append(min(limit, BINS))
            kept.setdefault(id(source), []).append(way)
    found = []
    for source in sources:
        if id(source) in kept:
            source.ways = kept[id(source)]
            found.append(source)
    return found


def _energy(
    source: Source,
    way: Way,
    power_db: np.ndarray,
    stage: Stage,
    loss_db_per_m: np.ndarray,
    times: np.ndarray,
    c_mps: float,
) -> np.ndarray:
    """(T, 8) energy of a path at the array in each octave, re the reference pressure's."""
    at = np.clip(np.round(times / GRID_S - stage.first).astype(int), 0, len(stage.times_s) - 1)
    distance = np.linalg.norm(way.places_m[at] - stage.array[at], axis=1)
    # what is received now was emitted a little earlier
    then = np.maximum(at - np.round(distance / c_mps / GRID_S).astype(int), 0)
    distance = np.linalg.norm(way.places_m[then] - stage.array[at], axis=1)
    weight = np.maximum(way.weight[then], way.weight[at])
    spread = (weight / np.maximum(distance, 0.3)) ** 2 / (2 * np.pi)
    level = power_db - loss_db_per_m * source.air_m[then][:, None]
    return 10 ** (level / 10) * spread[:, None]


@cache
def _asphalt(sample_rate_hz: int) -> np.ndarray:
    """(BINS,) float32 what `propagation.sinc_filters` make of a reflection, at each bin."""
    place = np.linspace(0.05, 0.95, 19)
    powers = np.vander(place - 0.5, POWERS, increasing=True)
    distance = np.arange(TAPS) - (TAPS // 2 - 1) - place[:, None]
    turn = np.exp(2j * np.pi * np.arange(BINS)[:, None, None] / FRAME * distance)
    response = [
        np.abs(np.sum(powers @ sinc_filters(sample_rate_hz, surface) * turn, axis=-1)).mean(axis=1)
        for surface in ('asphalt', 'none')
    ]
    return (response[0] / np.maximum(response[1], 0.05)).astype(np.float32)


_KEPT: dict[str, np.ndarray] = {}


def _workspace(name: str, shape: tuple[int, ...], dtype: type) -> np.ndarray:
    """Memory reused for each window: allocating it costs more than filling it."""
    size = int(np.prod(shape))
    if name not in _KEPT or len(_KEPT[name]) < size:
        _KEPT[name] = np.empty(size, dtype)
    return _KEPT[name][:size].reshape(shape)


@cache
def _no_loss() -> np.ndarray:
    return np.zeros(BLOCK // 2 + 1, np.float32)


@cache
def _taper() -> np.ndarray:
    phase = 2 * np.pi * np.arange(FRAME) / FRAME
    return (0.5 - 0.5 * np.cos(phase)).astype(np.float32)
