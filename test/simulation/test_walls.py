"""Walls: images, gaps and echoes."""

from __future__ import annotations

from dataclasses import replace

from helpers.examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np

from avdet_ros.simulation.road import straight_road
from avdet_ros.simulation.sound import render_sound
from avdet_ros.simulation.walls import Walls

RATE = 44100


@settings(max_examples=examples(30), deadline=None)
@given(st.floats(-3, 3), st.floats(-50, 50), st.floats(0, 1.5))
def test_wall_images_on_straight_road_match_hand_calculation(aside, along, height):
    walls = Walls(straight_road(), 6.0, -5.0, 5.5, 0.9)
    points = np.array([[along, aside, height]])
    array = np.array([[0.0, 0.0, 1.7]])
    images = walls.images(points, np.array([along]), array, np.array([0.0]))
    expected = [
        (along, 12 - aside, height),
        (along, -10 - aside, height),
        (along, aside + 22, height),
        (along, aside - 22, height),
        (along, aside, 11 - height),
    ]
    for (place, _), wanted in zip(images, expected, strict=True):
        np.testing.assert_allclose(place[0], wanted, atol=1e-9)
    np.testing.assert_allclose([gain[0] for _, gain in images], [0.9, 0.9, 0.81, 0.81, 0.9])


def test_gap_in_wall_does_not_reflect():
    walls = Walls(straight_road(), left_m=6.0, left_gaps_m=np.array([[8.0, 14.0]]))
    along = np.array([10.0, 20.0, 40.0])
    points = np.stack([along, np.zeros(3), np.zeros(3)], axis=-1)
    array = np.zeros((3, 3))
    ((_, gain),) = walls.images(points, along, array, np.zeros(3))
    # reflected half way: at 5, 10 and 20 m
    np.testing.assert_allclose(gain, [0.85, 0.0, 0.85])


def test_wall_echo_has_expected_delay(world):
    """The autocorrelation of one microphone peaks at the extra length of the reflected path."""
    scene = world((20.0, 0.0, 12.0), ego_speed=12.0)
    walls = Walls(scene.ego.road, left_m=9.0, reflection=0.95)
    sound = render_sound(replace(scene, walls=walls), 1.5, 1.0)[0].astype(float)
    bare = render_sound(scene, 1.5, 1.0)[0].astype(float)
    direct, echo = 20.0, np.hypot(20.0, 18.0)
    lag = round((echo - direct) / scene.speed_of_sound_mps * RATE)

    def echo_at(x):
        power = np.abs(np.fft.rfft(x, 2 * len(x))) ** 2
        # whitened, so that the engine's own periods do not mask the echo
        smooth = np.convolve(power, np.ones(401) / 401, 'same')
        return np.fft.irfft(power / smooth)[200 : 2 * lag]

    found = int(np.argmax(echo_at(sound))) + 200
    # sources lie up to 1.5 m in front of and behind the middle, which spreads the echo
    assert abs(found - lag) < 60
    assert echo_at(sound).max() > 2 * echo_at(bare).max()


def test_tunnel_raises_level(world):
    scene = world((25.0, 0.0, 12.0), ego_speed=12.0)
    inside = replace(scene, walls=Walls(scene.ego.road, 5.0, -5.0, 5.0, 0.9))
    gain = render_sound(inside, 1.5, 0.5).std() / render_sound(scene, 1.5, 0.5).std()
    assert 1.3 < gain < 2.6  # five images, each a little weaker than the direct sound
