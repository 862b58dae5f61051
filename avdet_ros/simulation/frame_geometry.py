"""Positions of array and microphones around one rendered frame, see `sound.SoundRenderer`."""

from __future__ import annotations

import numpy as np

from avdet_ros.simulation.propagation import GRID_S
from avdet_ros.simulation.scene import Scene


class FrameGeometry:
    """Trajectories of the array on the common time grid around one frame, G points.

    Attributes:
        begin_s: the frame's first instant in drive time, by the sound card's clock.
        end_s: its last instant.
        first: number of the grid's first point; point 0 is time 0.
        times: (G,) times of the grid.
        position: (G, 3) of the ego vehicle, metres.
        rotation: (G, 3, 3) of the ego vehicle.
        array: (G, 3) centre of the array.
        microphones: (G, 8, 3) microphone positions.
        outward: (G, 8, 3) unit vectors from the centre to the microphones.
    """

    def __init__(self, scene: Scene, begin_s: float, end_s: float) -> None:
        """Lay out the grid, including the time before the frame in which sound was on its way.

        Args:
            scene: the drive.
            begin_s: the frame's first instant by the nominal sample rate.
            end_s: its last instant.
        """
        clock = 1.0 + scene.corruption.clock_ppm * 1e-6
        self.begin_s, self.end_s = begin_s * clock, end_s * clock
        self.first = int(np.floor((self.begin_s - 0.75) / GRID_S)) - 2
        last = int(np.ceil(self.end_s / GRID_S)) + 4
        self.times = np.arange(self.first, last + 1) * GRID_S
        self.position, self.rotation = scene.ego_pose(self.times)
        places = scene.microphones_m()
        centre = scene.rig.array_position_m
        outward = places - centre
        outward /= np.maximum(np.linalg.norm(outward, axis=1, keepdims=True), 1e-9)
        self.array = self.position + self.rotation @ centre
        turned = np.einsum('gij,mj->mgi', self.rotation, places)
        self.microphones = np.ascontiguousarray(turned + self.position)
        self.outward = np.ascontiguousarray(np.einsum('gij,mj->mgi', self.rotation, outward))
