"""From a moving source's signal to moving microphones: delay, spreading, reflection.

A microphone at m(t) hears at time t what a source at p(t) gave off at the emission time t_e,

    t_e + |p(t_e) - m(t)| / c = t,

which is solved by Newton's method on knots and filled in by cubic Hermite polynomials with the
exact slope; the Doppler effect is that slope. The source's signal is read between its samples
with a 16-tap Kaiser-windowed sinc.
"""

from __future__ import annotations

from functools import cache

from numba import njit
import numpy as np

TAPS = 16
PHASES = 512
KAISER_BETA = 8.0
KNOT_SAMPLES = 175
"""Distance of the knots; divides the renderer's frame at 44.1 kHz."""

GRID_S = 0.01
"""Trajectories are handed over on multiples of this, and are cubic between."""

_REFLECTION_HZ = np.array([0, 250, 1000, 4000, 8000, 16000, 96000])
_REFLECTION = np.array([0.99, 0.98, 0.90, 0.82, 0.70, 0.55, 0.4])
"""|Q| of asphalt at flat incidence (Miki's model, flow resistivity 2e7 to 2e8 Pa s/m2)."""


@cache
def sinc_table(sample_rate_hz: int, surface: str = 'none') -> np.ndarray:
    """Fractional-delay filters.

    Args:
        sample_rate_hz: rate of the signal.
        surface: 'none' for a direct path, 'asphalt' to fold the road's reflection in.

    Returns:
        (PHASES + 1, TAPS) float32; row p reads at p / PHASES after the tap TAPS / 2 - 1.
    """
    offset = np.arange(TAPS) - (TAPS // 2 - 1)
    distance = offset[None, :] - np.linspace(0, 1, PHASES + 1)[:, None]
    window = np.i0(KAISER_BETA * np.sqrt(np.clip(1 - (2 * distance / TAPS) ** 2, 0, 1)))
    window /= np.i0(KAISER_BETA)
    if surface == 'none':
        return (np.sinc(distance) * window).astype(np.float32)
    # inverse Fourier transform of the zero-phase response, in place of the sinc
    frequency = (np.arange(1024) + 0.5) / 2048
    response = np.interp(frequency * sample_rate_hz, _REFLECTION_HZ, _REFLECTION)
    kernel = np.cos(2 * np.pi * frequency * distance[..., None]) @ response / 1024
    return (kernel * window).astype(np.float32)


@njit(cache=True, inline='always')
def _hermite(a, b, slope_a, slope_b, step, part):
    """Cubic through a and b with the given slopes, at a part of the step."""
    square = part * part
    cube = square * part
    return (
        (2 * cube - 3 * square + 1) * a
        + (cube - 2 * square + part) * step * slope_a
        + (3 * square - 2 * cube) * b
        + (cube - square) * step * slope_b
    )


@njit(cache=True, inline='always')
def _track(track, grid, part, axis, step):
    """Value and slope of a trajectory between grid points, Catmull-Rom slopes."""
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


@njit(cache=True)
def emission(source, microphone, grid_first, grid_s, t, c):
    """Solve the emission time of one instant.

    Args:
        source: (G, 3) float64 positions on the grid.
        microphone: (G, 3) float64 positions on the grid.
        grid_first: index of the first grid point; point g is at (grid_first + g) grid_s.
        grid_s: step of the grid.
        t: time of hearing.
        c: speed of sound.

    Returns:
        emission time, its slope dt_e / dt, distance, and the unit direction (x, y, z) from the
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


@njit(cache=True, fastmath={'contract', 'reassoc', 'nsz'})
def _read(out, signal, index, phase, gain_a, gain_step, table):
    """Add the interpolated signal of one stretch between knots."""
    for n in range(len(out)):
        # slices, so that the compiler sees indices that cannot be negative and uses SIMD
        row = table[phase[n]]
        piece = signal[index[n] : index[n] + 16]
        total = np.float32(0.0)
        for tap in range(16):
            total += row[tap] * piece[tap]
        out[n] += total * (gain_a + gain_step * np.float32(n))


@njit(cache=True)
def add_path(
    out,
    first_sample,
    sample_rate_hz,
    clock,
    delay_samples,
    signal,
    signal_first,
    source,
    weight,
    microphones,
    outward,
    shading_db,
    grid_first,
    grid_s,
    c,
    table,
):
    """Add what one source gives to all microphones over one path.

    Args:
        out: (M, n) float32, added to.
        first_sample: index of the first sample of `out`, from the start of the drive.
        sample_rate_hz: rate of `out` and `signal`.
        clock: seconds of world time in a second of the sound card.
        delay_samples: (M,) float64 delays of the channels.
        signal: (S,) float32, the source's signal at 1 m.
        signal_first: index of its first sample, from the start of the drive.
        source: (G, 3) float64 positions.
        weight: (G,) float64 gain of the source over time, besides 1 / R.
        microphones: (M, G, 3) float64 positions.
        outward: (M, G, 3) float64 unit directions from the array's centre.
        shading_db: loss of sound that comes from the side opposite to the microphone.
        grid_first: index of the trajectories' first point.
        grid_s: step of the trajectories.
        c: speed of sound.
        table: see `sinc_table`.
    """
    count = out.shape[1]
    knots = (count + KNOT_SAMPLES - 1) // KNOT_SAMPLES + 1
    te = np.empty(knots)
    slope = np.empty(knots)
    gain = np.empty(knots)
    index = np.empty(KNOT_SAMPLES, np.int64)
    phase = np.empty(KNOT_SAMPLES, np.int64)
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
            for n in range(stretch):
                part = n / KNOT_SAMPLES
                at = _hermite(te[k], te[k + 1], slope[k], slope[k + 1], step, part)
                place = at * sample_rate_hz
                whole = np.floor(place)
                index[n] = np.int64(whole) - signal_first - (TAPS // 2 - 1)
                phase[n] = np.int64((place - whole) * PHASES + 0.5)
            _read(
                out[m, begin : begin + stretch],
                signal,
                index,
                phase,
                np.float32(gain[k]),
                np.float32((gain[k + 1] - gain[k]) / KNOT_SAMPLES),
                table,
            )
