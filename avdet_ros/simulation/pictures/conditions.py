"""Light, weather and heat of a drive, and the failures of each camera."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Conditions:
    """One drive's light and weather, and the properties of its cameras.

    Attributes:
        seed: keys clouds, noise and the surroundings' details.
        sun_elevation_deg: below about -6 it is night.
        sun_azimuth_deg: direction of the sun in the world, counter-clockwise from x.
        cloud: 0 clear to 1 overcast.
        rain: 0 dry to 1 downpour: streaks, wet mirroring road, shorter range of every camera.
        haze_per_m: extinction of contrast with distance.
        glare: 0 to 1, how much the sun or lamps blind the RGB camera.
        lens_drops: number of drops on the RGB camera's lens.
        street_lamps: 0 or 1, whether lamps light the road at night.
        lit_windows: fraction of the windows lit at night.
        air_c: air temperature.
        thermal_noise_k: temporal noise of the thermal camera, kelvin.
        thermal_blur_px: blur of the thermal camera, pixels of its 960 x 325 grid.
        started_share: fraction of the driving vehicles whose engines and tyres are still cold.
        depth_noise_px: noise of the stereo matcher's disparity, pixels.
        depth_range_m: range of the matcher; beyond it there is no depth.
        depth_dropout: 0 to 1, how readily the matcher fails on dark, wet and mirroring surfaces.
    """

    seed: int = 0
    sun_elevation_deg: float = 40.0
    sun_azimuth_deg: float = 60.0
    cloud: float = 0.3
    rain: float = 0.0
    haze_per_m: float = 0.0015
    glare: float = 0.0
    lens_drops: int = 0
    street_lamps: float = 1.0
    lit_windows: float = 0.25
    air_c: float = 15.0
    thermal_noise_k: float = 0.06
    thermal_blur_px: float = 0.8
    started_share: float = 0.1
    depth_noise_px: float = 0.35
    depth_range_m: float = 110.0
    depth_dropout: float = 0.4

    @property
    def daylight(self) -> float:
        """Brightness of the day: 0 at night to 1 by day."""
        return float(np.clip((self.sun_elevation_deg + 6.0) / 14.0, 0.0, 1.0))

    @property
    def night(self) -> bool:
        """Whether a drive in these conditions counts as a night drive."""
        return self.daylight < 0.3

    @property
    def sun(self) -> np.ndarray:
        """(3,) unit vector towards the sun, world."""
        azimuth, elevation = np.deg2rad([self.sun_azimuth_deg, self.sun_elevation_deg])
        flat = np.cos(elevation)
        return np.array([flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation)])

    @property
    def direct(self) -> float:
        """Strength of direct sunlight, 0 to 1."""
        high = np.clip(self.sun_elevation_deg / 8.0, 0.0, 1.0)
        return float(high * (1 - self.cloud) ** 1.5 * (1 - self.rain) ** 2)


def random_conditions(seed: int, temperature_c: float, night: bool | None = None) -> Conditions:
    """Draw the conditions of a drive.

    Args:
        seed: the drive's.
        temperature_c: air temperature, the same as for the drive's sound.
        night: True for night, False for day, None to draw it, too (one half of MAVD is night).
    """
    rng = np.random.default_rng([seed, 101])
    draw = rng.uniform
    is_night = bool(rng.random() < 0.5) if night is None else night
    if is_night:
        elevation = draw(-30, -5)
    else:
        elevation = draw(3, 15) if rng.random() < 0.25 else draw(15, 60)
    rain = draw(0.25, 1.0) if rng.random() < 0.25 else 0.0
    cloud = 1.0 - 0.15 * draw() if rain else draw() ** 1.3
    low_sun = not is_night and elevation < 15 and cloud < 0.6
    return Conditions(
        seed=seed,
        sun_elevation_deg=float(elevation),
        sun_azimuth_deg=float(draw(-45, 45) if low_sun else draw(-180, 180)),
        cloud=float(cloud),
        rain=float(rain),
        haze_per_m=float(draw(0.0006, 0.003) + 0.006 * rain + (0.012 * draw() ** 6)),
        glare=float(draw(0.4, 1.0)) if low_sun else float(draw(0.0, 0.7) if is_night else 0.0),
        lens_drops=int(rng.integers(3, 18) * (rain > 0)),
        street_lamps=float(rng.random() < 0.7),
        lit_windows=float(draw(0.05, 0.5)),
        air_c=float(temperature_c),
        thermal_noise_k=float(draw(0.03, 0.15)),
        thermal_blur_px=float(draw(0.5, 1.4)),
        started_share=float(draw(0.0, 0.35)),
        depth_noise_px=float(draw(0.15, 0.8)),
        depth_range_m=float(draw(60, 140)),
        depth_dropout=float(draw(0.1, 0.8)),
    )
