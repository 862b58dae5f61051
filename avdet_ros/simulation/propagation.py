"""Propagation from a moving source to moving microphones: delay, spreading, reflection.

A microphone at m(t) receives at time t what a source at p(t) emitted at the emission time t_e,

    t_e + |p(t_e) - m(t)| / c = t,

which is solved by Newton's method at knots and interpolated by cubic Hermite polynomials with the
exact slope. The Doppler effect is this slope. The source's signal is read between its samples
with a 16-tap Kaiser-windowed sinc whose taps are polynomials of the position between two samples
(Farrow 1988). All microphones share the filters for each power, and then cost eight products per
sample.
"""

from __future__ import annotations

from functools import cache

from numba import njit
import numpy as np

TAPS = 16
POWERS = 8
KAISER_BETA = 8.0
KNOT_SAMPLES = 175
"""Distance between knots; divides the renderer's frame at 44.1 kHz."""

GRID_S = 0.01
"""Grid step of trajectories; they are cubic between grid points."""

_REFLECTION_HZ = np.array([0, 250, 1000, 4000, 8000, 16000, 96000])
_REFLECTION = np.array([0.99, 0.98, 0.90, 0.82, 0.70, 0.55, 0.4])
"""|Q| of asphalt at grazing incidence (Miki's model, flow resistivity 2e7 to 2e8 Pa s/m2)."""


@cache
def sinc_filters(sample_rate_hz: int, surface: str = 'none') -> np.ndarray:
    """Compute fractional-delay filters as polynomials.

    Args:
        sample_rate_hz: rate of the signal.
        surface: 'none' for a direct path, 'asphalt' to include the road's reflection.

    Returns:
        (POWERS, TAPS) float32: the taps sum_p u^p filters[p] read a signal at u + 1/2 after the
        tap TAPS / 2 - 1, u from -1/2 to 1/2.
    """
    place = 0.5 - 0.5 * np.cos(np.pi * (np.arange(64) + 0.5) / 64)
    distance = np.arange(TAPS) - (TAPS // 2 - 1) - place[:, None]
    window = np.i0(KAISER_BETA * np.sqrt(np.clip(1 - (2 * distance / TAPS) ** 2, 0, 1)))
    window /= np.i0(KAISER_BETA)
    if surface == 'none':
        taps = np.sinc(distance) * window
    else:
        # inverse Fourier transform of the zero-phase response, in place of the sinc
        frequency = (np.arange(1024) + 0.5) / 2048
        response = np.interp(frequency * sample_rate_hz, _REFLECTION_HZ, _REFLECTION)
        taps = np.cos(2 * np.pi * frequency * distance[..., None]) @ response / 1024 * window
    powers = np.vander(place - 0.5, POWERS, increasing=True)
    return np.linalg.lstsq(powers, taps, rcond=None)[0].astype(np.float32)


@njit(cache=True, nogil=True, inline='always')
def _hermite(
    a: float, b: float, slope_a: float, slope_b: float, step: float, part: float
) -> float:
    """Evaluate the cubic through a and b with the given slopes at a fraction of the step."""
    square = part * part
    cube = square * part
    return (
        (2 * cube - 3 * square + 1) * a
        + (cube - 2 * square + part) * step * slope_a
        + (3 * square - 2 * cube) * b
        + (cube - square) * step * slope_b
    )


@njit(cache=True, nogil=True, inline='always')
def _track(
    track: np.ndarray, grid: int, part: float, axis: int, step: float
) -> tuple[float, float]:
    """Interpolate value and slope of a trajectory between grid points (Catmull-Rom slopes)."""
    a, b = track[grid, axis], track[grid + 1, axis]
    slope_a = (b - track[grid - 1, axis]) / (2 * step)
    slope_b = (track[grid + 2, axis] - a) / (2 * step)
    value = _hermite(a, b, slope_a, slope_b, step, part)
    square = part * part
    slope = (
        (6 * square - 6 * part) * (a - b) / step
        + (3 * square - 4 * part + 1) * slope_a
        + (3 * square - 2 * part) * slope_b
    )
    return value, slope


@njit(cache=True, nogil=True)
def emission(
    source: np.ndarray, microphone: np.ndarray, grid_first: int, grid_s: float, t: float, c: float
) -> tuple[float, float, float, float, float, float]:
    """Solve the emission time for one instant of reception.

    Args:
        source: (G, 3) float64 positions on the grid.
        microphone: (G, 3) float64 positions on the grid.
        grid_first: index of the first grid point; point g is at (grid_first + g) grid_s.
        grid_s: step of the grid.
        t: time of reception.
        c: speed of sound.

    Returns:
        Emission time, its slope dt_e / dt, distance, and the unit direction (x, y, z) from the
        microphone to where the source was.
    """
    place = t / grid_s - grid_first
    g = int(np.floor(place))
    mx, vx = _track(microphone, g, place - g, 0, grid_s)
    my, vy = _track(microphone, g, place - g, 1, grid_s)
    mz, vz = _track(microphone, g, place - g, 2, grid_s)
    te = t
    px = py = pz = wx = wy = wz = 0.0
    r = 1.0
    for turn in range(4):
        place = te / grid_s - grid_first
        g = int(np.floor(place))
        if g < 1:
            g = 1
        px, wx = _track(source, g, place - g, 0, grid_s)
        py, wy = _track(source, g, place - g, 1, grid_s)
        pz, wz = _track(source, g, place - g, 2, grid_s)
        dx, dy, dz = px - mx, py - my, pz - mz
        r = np.sqrt(dx * dx + dy * dy + dz * dz) + 1e-9
        if turn == 3:
            break
        radial = (dx * wx + dy * wy + dz * wz) / r
        step = (te + r / c - t) / (1 + radial / c)
        te -= step
    nx, ny, nz = (px - mx) / r, (py - my) / r, (pz - mz) / r
    slope = (1 + (nx * vx + ny * vy + nz * vz) / c) / (1 + (nx * wx + ny * wy + nz * wz) / c)
    return te, slope, r, nx, ny, nz


@njit(cache=True, nogil=True, fastmath={'contract', 'reassoc', 'nsz'})
def _filter(signal: np.ndarray, filters: np.ndarray) -> np.ndarray:
    """Filter the signal with each filter, (POWERS, S - TAPS + 1) float32."""
    count = len(signal) - TAPS + 1
    out = np.zeros((POWERS, count), np.float32)
    for power in range(POWERS):
        row = out[power]
        for tap in range(0, TAPS, 4):
            # slices, so that the compiler sees indices that cannot be negative and uses SIMD
            h0, h1, h2, h3 = filters[power, tap : tap + 4]
            s0, s1 = signal[tap : tap + count], signal[tap + 1 : tap + 1 + count]
            s2, s3 = signal[tap + 2 : tap + 2 + count], signal[tap + 3 : tap + 3 + count]
            for n in range(count):
                row[n] += h0 * s0[n] + h1 * s1[n] + h2 * s2[n] + h3 * s3[n]
    return out


@njit(cache=True, nogil=True, fastmath={'contract', 'reassoc', 'nsz'})
def _read(
    out: np.ndarray,
    banks: np.ndarray,
    first: float,
    c0: float,
    c1: float,
    c2: float,
    c3: float,
    gain: np.float32,
    gain_step: np.float32,
) -> None:
    """Add the signal between two knots, read at positions c0 + c1 n + c2 n^2 + c3 n^3."""
    b0, b1, b2, b3 = banks[0], banks[1], banks[2], banks[3]
    b4, b5, b6, b7 = banks[4], banks[5], banks[6], banks[7]
    for n in range(len(out)):
        place = c0 + n * (c1 + n * (c2 + n * c3))
        whole = np.floor(place)
        u = np.float32(place - whole - 0.5)
        i = np.uint32(whole - first)
        value = b4[i] + u * (b5[i] + u * (b6[i] + u * b7[i]))
        value = b0[i] + u * (b1[i] + u * (b2[i] + u * (b3[i] + u * value)))
        out[n] += value * (gain + gain_step * np.float32(n))


@njit(cache=True, nogil=True)
def add_path(
    out: np.ndarray,
    first_sample: int,
    sample_rate_hz: float,
    clock: float,
    delay_samples: np.ndarray,
    signal: np.ndarray,
    signal_first: int,
    source: np.ndarray,
    weight: np.ndarray,
    microphones: np.ndarray,
    outward: np.ndarray,
    shading_db: float,
    grid_first: int,
    grid_s: float,
    c: float,
    filters: np.ndarray,
) -> None:
    """Add the sound of one source at all microphones over one path.

    Args:
        out: (M, n) float32, added to.
        first_sample: index of the first sample of `out`, from the start of the drive.
        sample_rate_hz: rate of `out` and `signal`.
        clock: seconds of world time per second of the sound card.
        delay_samples: (M,) float64 delays of the channels.
        signal: (S,) float32, the source's signal at 1 m.
        signal_first: index of its first sample, from the start of the drive.
        source: (G, 3) float64 positions.
        weight: (G,) float64 gain of the source over time, in addition to 1 / R.
        microphones: (M, G, 3) float64 positions.
        outward: (M, G, 3) float64 unit directions from the array's centre.
        shading_db: loss of sound that comes from the side opposite to the microphone.
        grid_first: index of the trajectories' first point.
        grid_s: step of the trajectories.
        c: speed of sound.
        filters: see `sinc_filters`.
    """
    count = out.shape[1]
    knots = (count + KNOT_SAMPLES - 1) // KNOT_SAMPLES + 1
    te = np.empty(knots)
    slope = np.empty(knots)
    gain = np.empty(knots)
    banks = _filter(signal, filters)
    bank_first = signal_first + TAPS // 2 - 1
    step = KNOT_SAMPLES / sample_rate_hz * clock
    for m in range(out.shape[0]):
        for k in range(knots):
            sample = first_sample + k * KNOT_SAMPLES + delay_samples[m]
            t = sample / sample_rate_hz * clock
            te[k], slope[k], r, nx, ny, nz = emission(
                source, microphones[m], grid_first, grid_s, t, c
            )
            place = max(te[k] / grid_s - grid_first, 1.0)
            g = int(np.floor(place))
            gain[k] = weight[g] + (weight[g + 1] - weight[g]) * (place - g)
            gain[k] /= max(r, 0.3)
            if shading_db > 0:
                # the microphones keep their direction well enough over one grid step
                g = int(np.floor(t / grid_s - grid_first))
                facing = nx * outward[m, g, 0] + ny * outward[m, g, 1] + nz * outward[m, g, 2]
                gain[k] *= 10 ** (-shading_db / 40 * (1 - facing))
        for k in range(knots - 1):
            begin = k * KNOT_SAMPLES
            stretch = min(KNOT_SAMPLES, count - begin)
            if gain[k] == 0 and gain[k + 1] == 0:
                continue
            # Hermite polynomial of the position in the signal, in powers of the sample index
            a, b = te[k] * sample_rate_hz, te[k + 1] * sample_rate_hz
            if a < bank_first or b >= bank_first + banks.shape[1] - 1:
                raise IndexError('the signal is shorter than its way to the microphones needs')
            slope_a = slope[k] * step * sample_rate_hz
            slope_b = slope[k + 1] * step * sample_rate_hz
            _read(
                out[m, begin : begin + stretch],
                banks,
                bank_first,
                a,
                slope_a / KNOT_SAMPLES,
                (3 * (b - a) - 2 * slope_a - slope_b) / KNOT_SAMPLES**2,
                (2 * (a - b) + slope_a + slope_b) / KNOT_SAMPLES**3,
                np.float32(gain[k]),
                np.float32((gain[k + 1] - gain[k]) / KNOT_SAMPLES),
            )
