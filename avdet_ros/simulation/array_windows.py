"""Training windows for any array: features, the array that recorded them, labels as directions.

A set of format 3 is a folder of shards, ``windows_<first seed>.npz`` (uncompressed, of
`WindowPlan.drives_a_shard` drives each), and ``windows.json``, which describes how it was made.
Each shard holds, for its n windows,

==================  ==================  =========================================================
features            (n, 64, 80, 44) f2  as in `windows` (32 of them with twelve pairs), after
                                        correction of the errors that the rig file knows; a dead
                                        microphone's levels are the floor, its coherences 0
azimuth_deg,        (n, 16) f4          labels at the window's CENTRE, nearest first, see `angles`;
elevation_deg,                          zeros after the first `count`
width_deg,
height_deg,
range_m                                 from the array's centre to the vehicle's middle
in_image            (n, 16) bool        whether it is also a label of the camera's image
boxes_px            (n, 16, 4) f4       in that image; zeros if not in it
ids, kinds          (n, 16) i8          identity; index into vehicles.KINDS; -1 after `count`
visible_fraction    (n, 16) f4          part of the box that is in the image and not hidden
level_db            (n, 16) f4          A-weighted level relative to all other sound
count               (n,) i8             number of labels of the window
eye_height_m        (n,) f4             height above the road from which elevations are seen
end_...                                 all of these again for the window's END
coming              (n, 2) i1           whether a vehicle is about to emerge from behind a
                                        corner at the window's END, left and right, see
                                        `blind_corners.coming_sides`
microphones_m       (n, 8, 3) f4        true microphone positions in the array's frame
array_yaw_deg       (n,) f4             true yaw of that frame relative to the camera's heading
rig_microphones_m,  as above            the same as in the rig file, which is all a detector knows
rig_array_yaw_deg
gain_db, delay_s    (n, 8) f4           left in the features; a positive delay is a late channel
alive               (n, 8) bool         False where the rig file marks a microphone as dead
order               (n, 8) i8           which microphone is on each channel
family, care        (n,) U16            see `arrays`
world, setting      (n,) U10            'plain', 'furnished' or 'corners'; kind of road
temperature_c       (n,) f4             of the air, which determines the speed of sound
ahead_mps           (n,) f4             speed of the ego vehicle at the window's CENTRE, negative
                                        in reverse
camera_heading_deg  (n,) f4             of the rig file's camera in base_link, left positive
rendered            (n,) i8             windows with the same number share their sound sources
seed, time_s        (n,)                seed of the drive, and the window's start in it
==================  ==================  =========================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from avdet_ros.audio.features import FrontEnd, pool_frames
from avdet_ros.audio.microphone_pairs import EVERY_PAIR
from avdet_ros.errors import AvdetError
from avdet_ros.rig import Rig
from avdet_ros.simulation.arrays import FAMILIES, HELD_OUT, DrawnArray, draw_array
from avdet_ros.simulation.blind_corners import blind_corner, corner_starts_s
from avdet_ros.simulation.idling import with_idling_vehicle
from avdet_ros.simulation.manoeuvres import add_to_drive
from avdet_ros.simulation.quick_sound import QuickSound
from avdet_ros.simulation.recorded_sounds import SoundFolder
from avdet_ros.simulation.recordings import Recordings, load_recordings, shuffled
from avdet_ros.simulation.scene import Scene
from avdet_ros.simulation.sound import SoundRenderer
from avdet_ros.simulation.sound_in_view import with_sound_in_view
from avdet_ros.simulation.spectral_features import spectral_features
from avdet_ros.simulation.traffic import random_scene
from avdet_ros.simulation.variety import varied
from avdet_ros.simulation.window_rows import array_row, label_row
from avdet_ros.simulation.windows import WindowRow, quantise

FORMAT = 3
WORLDS = ('plain', 'furnished', 'mixed', 'corners')
ARRAYS = {'drawn': FAMILIES, 'held-out': HELD_OUT}
FURNISHED_PART = 0.6
"""Fraction of the drives of a mixed world that are furnished."""

RECORDED_PART = 0.5
"""Fraction of the drives whose vehicles are played from recordings, if the plan has any."""

OTHER_DB = (-5.0, 15.0)
"""Level range of the non-vehicle sound on an empty road, relative to all other sound."""


@dataclass(frozen=True)
class WindowPlan:
    """Contents of a set of windows; equal plans and seeds make equal windows.

    Attributes:
        world: one of `WORLDS`: 'plain' as `traffic.random_scene`, 'furnished' as the drives of
            ``avdet sim drives``, 'mixed' of both, 'corners' as `blind_corners.blind_corner`.
        arrays: key of `ARRAYS`.
        windows_a_drive: windows of one drive.
        spacing_s: length of the stretch of the drive that each window lies in. If it is shorter
            than a window, windows follow one another at this distance and overlap.
        drives_a_shard: drives in one file.
        arrays_a_window: number of arrays with the same centre for each window, a row each.
        quick: render with `quick_sound` in place of `sound`.
        varied: vary the vehicles' spectra, the weather and other sounds, see `variety`.
        distractors: folder of recordings used for some of the other sounds, '' for none; implies
            `varied`.
        pairs: number of microphone pairs with coherences, 12 or 28, see `FrontEnd.pair_count`.
        recordings: folder of loops that replace the vehicles' sound in half of the drives, '' for
            synthetic vehicles only.
        empty: no other vehicle is on the road, and one other sound in view is `OTHER_DB` above
            the rest; with `distractors` half of these sounds are recordings.
        idling: nobody drives, and one vehicle in view stands with its engine running.
        dense: also mix each window with the vehicles of another drive, see `dense_windows`;
            requires `quick`.
    """

    world: str = 'mixed'
    arrays: str = 'drawn'
    windows_a_drive: int = 3
    spacing_s: float = 3.0
    drives_a_shard: int = 16
    arrays_a_window: int = 1
    quick: bool = False
    varied: bool = False
    distractors: str = ''
    pairs: int = len(EVERY_PAIR)
    recordings: str = ''
    empty: bool = False
    idling: bool = False
    dense: bool = False

    def __post_init__(self) -> None:
        """Check the choices.

        Raises:
            AvdetError: a value is not one of the allowed ones.
        """
        for name, choices in (('world', WORLDS), ('arrays', tuple(ARRAYS))):
            if getattr(self, name) not in choices:
                raise AvdetError(
                    f'{name}: expected one of {", ".join(choices)}, found {getattr(self, name)!r}'
                )
        if self.dense and not self.quick:
            raise AvdetError('dense: expected quick, as mixtures are sums of spectra')

    def front_end(self, base: Rig) -> FrontEnd:
        """Return the front end that computes the features at the rig's sample rate."""
        return FrontEnd.of(base, self.pairs)

    @property
    def windows_a_shard(self) -> int:
        """Number of rows in one file."""
        windows = self.windows_a_drive
        if self.dense:
            windows += windows**2  # each window with each of another drive
        return self.drives_a_shard * windows * self.arrays_a_window

    @property
    def duration_s(self) -> float:
        """Length of a drive."""
        return (self.windows_a_drive - 1) * self.spacing_s + max(self.spacing_s, 1.0)


def world_of(seed: int, plan: WindowPlan) -> str:
    """Return the world of a drive: 'plain', 'furnished' or 'corners'."""
    if plan.world != 'mixed':
        return plan.world
    share = np.random.default_rng([seed, 10]).random()
    return 'furnished' if share < FURNISHED_PART else 'plain'


def plays_recordings(seed: int, plan: WindowPlan) -> bool:
    """Return whether a drive's vehicles are played from the plan's recordings."""
    return bool(plan.recordings) and np.random.default_rng([seed, 16]).random() < RECORDED_PART


def array_of(seed: int, base: Rig, plan: WindowPlan, number: int = 0) -> DrawnArray:
    """Draw the array of a drive, or another one with the same centre for the same drive."""
    families = ARRAYS[plan.arrays]
    rng = np.random.default_rng([seed, 11, 0])
    first = draw_array(rng, base, plan.duration_s, families)
    if number == 0:
        return first
    rng = np.random.default_rng([seed, 11, number])
    return draw_array(rng, base, plan.duration_s, families, beside=first)


def draw_world(seed: int, base: Rig, plan: WindowPlan) -> Scene:
    """Draw the drive of a seed, with an ideal array of the base rig."""
    if plan.world == 'corners':
        scene = blind_corner(seed, base, plan.duration_s)
    else:
        scene = random_scene(seed, base, plan.duration_s, corrupted=False)
    if world_of(seed, plan) == 'furnished':
        scene = add_to_drive(scene, corrupted=False)
    if plays_recordings(seed, plan):
        loops = _loops(plan.recordings, base.sample_rate_hz)
        # Otherwise vehicles with the same number would sound alike in all drives.
        scene = replace(scene, recordings=shuffled(loops, seed))
    if plan.idling:
        scene = with_idling_vehicle(scene)
    folder = None
    if plan.distractors:
        folder = SoundFolder.of(plan.distractors, base.sample_rate_hz)
    if plan.varied or plan.distractors:
        scene = varied(scene, folder)
    return empty_road(scene, folder) if plan.empty else scene


def empty_road(scene: Scene, sounds: SoundFolder | None = None) -> Scene:
    """Remove all other vehicles from the road and put one other sound in view.

    Args:
        scene: any drive.
        sounds: recordings; every other drive plays one of them.
    """
    rng = np.random.default_rng([scene.seed, 18])
    above_rest_db = float(rng.uniform(*OTHER_DB))
    played = sounds if rng.random() < 0.5 else None
    return replace(with_sound_in_view(scene, above_rest_db, played), vehicles=())


@cache
def _loops(folder: str, sample_rate_hz: int) -> Recordings:
    return load_recordings(folder, sample_rate_hz)


def place_array(scene: Scene, array: DrawnArray) -> Scene:
    """Return the same drive recorded with another array."""
    return replace(scene, rig=array.rig, corruption=array.errors)


def window_starts_s(seed: int, plan: WindowPlan) -> list[float]:
    """Draw the start times of a drive's windows, seconds."""
    rng = np.random.default_rng([seed, 9])
    places = max(1, int(4 * (plan.spacing_s - 1)))
    return [
        index * plan.spacing_s + 0.25 * int(rng.integers(0, places))
        for index in range(plan.windows_a_drive)
    ]


def array_windows(
    seed: int, base: Rig, front_end: FrontEnd, plan: WindowPlan
) -> Iterator[WindowRow]:
    """Yield rows of the module's table for the windows of one drive.

    Args:
        seed: seed of the drive.
        base: see `arrays.draw_rig`.
        front_end: computes the features.
        plan: plan of the set.
    """
    world = draw_world(seed, base, plan)
    arrays = [array_of(seed, base, plan, number) for number in range(plan.arrays_a_window)]
    scenes = [place_array(world, array) for array in arrays]
    render = _quickly(scenes, front_end) if plan.quick else _exactly(scenes, front_end)
    starts_s = starts_of(scenes[0], plan, front_end.window_s)
    for number, start_s in enumerate(starts_s):
        # the arrays share centre and camera, and so the labels
        labels = label_row(scenes[0], start_s, front_end.window_s)
        features = render(start_s, number)
        about = moment_row(scenes[0], plan, number, start_s, front_end.window_s)
        for scene, array, computed in zip(scenes, arrays, features, strict=True):
            row = {**labels, **array_row(scene, array), **about}
            yield {'features': computed.astype(np.float16), **row}


def starts_of(scene: Scene, plan: WindowPlan, window_s: float) -> list[float]:
    """Return the start times of the windows of a drawn drive, seconds."""
    if plan.world == 'corners':
        return corner_starts_s(scene, plan.windows_a_drive, plan.duration_s, window_s)
    return window_starts_s(scene.seed, plan)


def moment_row(
    scene: Scene, plan: WindowPlan, number: int, start_s: float, window_s: float
) -> WindowRow:
    """Return the fields of a row that depend on the window but not on the array.

    Args:
        scene: the drive.
        plan: plan of the set.
        number: index of the window in the drive.
        start_s: start of the window.
        window_s: length of the window.
    """
    return {
        'ahead_mps': np.float32(scene.ego.speed_mps(start_s + window_s / 2)),
        'world': np.array(world_of(scene.seed, plan), 'U10'),
        'rendered': np.int64(scene.seed * plan.windows_a_drive + number),
        'time_s': np.float64(start_s),
    }


Render = Callable[[float, int], list[np.ndarray]]


def _exactly(scenes: list[Scene], front_end: FrontEnd) -> Render:
    renderers = [SoundRenderer(scene) for scene in scenes]

    def render(start_s: float, number: int) -> list[np.ndarray]:
        first = round(start_s * front_end.sample_rate_hz)
        found = []
        for scene, renderer in zip(scenes, renderers, strict=True):
            waveform = quantise(renderer.read(first, front_end.samples))
            # marked in the rig file, so the front end leaves it out
            waveform[scene.corruption.dead] = 0
            found.append(pool_frames(front_end.compute(waveform)))
        return found

    return render


def _quickly(scenes: list[Scene], front_end: FrontEnd) -> Render:
    sound = QuickSound(scenes, front_end)

    def render(start_s: float, number: int) -> list[np.ndarray]:
        return [spectral_features(s, front_end) for s in sound.spectra(start_s, number)]

    return render
