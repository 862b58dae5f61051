"""Walls, distractors, recordings and severe errors: what they must do to the sound."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
import soundfile

from avdet_ros.errors import AvdetError
from avdet_ros.simulation.corruption import severe_corruption
from avdet_ros.simulation.distractors import Distractor
from avdet_ros.simulation.recordings import load_recordings
from avdet_ros.simulation.road import straight_road
from avdet_ros.simulation.sound import SoundRenderer, render_sound
from avdet_ros.simulation.traffic import furnished, random_scene
from avdet_ros.simulation.walls import Walls

RATE = 44100


@settings(max_examples=30, deadline=None)
@given(st.floats(-3, 3), st.floats(-50, 50), st.floats(0, 1.5))
def test_images_on_a_straight_road(aside, along, height):
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


def test_a_gap_in_the_front_does_not_reflect():
    walls = Walls(straight_road(), left_m=6.0, left_gaps_m=np.array([[8.0, 14.0]]))
    along = np.array([10.0, 20.0, 40.0])
    points = np.stack([along, np.zeros(3), np.zeros(3)], axis=-1)
    array = np.zeros((3, 3))
    ((_, gain),) = walls.images(points, along, array, np.zeros(3))
    # reflected half way: at 5, 10 and 20 m
    np.testing.assert_allclose(gain, [0.85, 0.0, 0.85])


def test_a_wall_is_an_echo_at_the_right_delay(world):
    """The autocorrelation of one microphone peaks at the reflected path's extra way."""
    scene = world((20.0, 0.0, 12.0), ego_speed=12.0)
    walls = Walls(scene.ego.road, left_m=9.0, reflection=0.95)
    sound = render_sound(replace(scene, walls=walls), 1.5, 1.0)[0].astype(float)
    bare = render_sound(scene, 1.5, 1.0)[0].astype(float)
    direct, echo = 20.0, np.hypot(20.0, 18.0)
    lag = round((echo - direct) / scene.speed_of_sound_mps * RATE)

    def echo_at(x):
        power = np.abs(np.fft.rfft(x, 2 * len(x))) ** 2
        # whitened, so that the engine's own periods do not hide it
        smooth = np.convolve(power, np.ones(401) / 401, 'same')
        return np.fft.irfft(power / smooth)[200 : 2 * lag]

    found = int(np.argmax(echo_at(sound))) + 200
    # sources lie up to 1.5 m before and behind the middle, which the echo shows as a spread
    assert abs(found - lag) < 60
    assert echo_at(sound).max() > 2 * echo_at(bare).max()


def test_a_tunnel_is_louder(world):
    scene = world((25.0, 0.0, 12.0), ego_speed=12.0)
    inside = replace(scene, walls=Walls(scene.ego.road, 5.0, -5.0, 5.0, 0.9))
    gain = render_sound(inside, 1.5, 0.5).std() / render_sound(scene, 1.5, 0.5).std()
    assert 1.3 < gain < 2.6  # five images, each a little weaker than the direct sound


def test_a_distractor_is_heard_and_not_reported(world):
    scene = world((20.0, 3.0, 10.0))
    tram = Distractor('tram', 0, np.array([-20.0, 20.0, 0.5]), np.array([10.0, 0, 0]), 115.0)
    noisy = replace(scene, distractors=(tram,))
    assert render_sound(noisy, 1.5, 0.5).std() > 2 * render_sound(scene, 1.5, 0.5).std()
    truth = noisy.truth(2.0)
    assert len(truth) == 1
    assert truth.rest_db[0] > scene.truth(2.0).rest_db[0] + 20
    deafening = replace(tram, power_db=140.0)
    assert len(replace(scene, distractors=(deafening,)).labels(2.0)) == 0


def test_furnishing_keeps_the_world_and_its_seed():
    plain = random_scene(40, duration_s=6.0)
    scene, clean = furnished(plain), furnished(plain, corrupted=False)
    np.testing.assert_array_equal(plain.truth(3).boxes_px, scene.truth(3).boxes_px)
    np.testing.assert_array_equal(scene.truth(3).level_db, clean.truth(3).level_db)
    assert not clean.corruption.gain_db.any()
    once = SoundRenderer(scene).read(0, RATE)
    again = SoundRenderer(furnished(random_scene(40, duration_s=6.0))).read(0, RATE)
    assert once.tobytes() == again.tobytes()
    settings_drawn = {furnished(random_scene(seed)).setting for seed in range(60)}
    assert 'tunnel' in settings_drawn


def test_severe_errors_stay_in_their_ranges():
    drawn = [severe_corruption(np.random.default_rng(seed), 60.0) for seed in range(300)]
    assert all(1 <= abs(c.array_yaw_deg) <= 3 for c in drawn)
    assert all(c.dead.sum() <= 1 for c in drawn)
    assert 0.08 < np.mean([c.dead.any() for c in drawn]) < 0.3
    assert 0.03 < np.mean([np.any(c.order != np.arange(8)) for c in drawn]) < 0.2
    assert all(sorted(c.order) == list(range(8)) for c in drawn)
    assert 0.2 < np.mean([len(c.gaps_s) > 0 for c in drawn]) < 0.5
    assert all(np.all((c.delay_samples >= 0) & (c.delay_samples <= 3)) for c in drawn)


def _loops(folder, rate=22050):
    t = np.arange(2 * rate) / rate
    rng = np.random.default_rng(0)
    soundfile.write(folder / 'engine_saloon_36kmh.wav', 0.3 * np.sin(2 * np.pi * 440 * t), rate)
    soundfile.write(folder / 'tyre_wet.flac', 0.1 * rng.normal(0, 1, len(t)).clip(-3, 3), rate)


def test_recordings_sound_at_the_speed_and_level_of_the_vehicle(world, tmp_path):
    _loops(tmp_path)
    (tmp_path / 'tyre_wet.flac').unlink()
    recordings = load_recordings(tmp_path, RATE)
    scene = world((60.0, 0.0, 15.0), ego_speed=15.0)
    # only the engine is played; at 15 m/s the loop recorded at 10 m/s is a fifth higher
    engine_only = replace(scene.vehicles[0].sound, rolling_offset_db=-100.0)
    quiet = replace(scene.vehicles[0], sound=engine_only)
    played = replace(scene, vehicles=(quiet,), recordings=recordings)
    sound = render_sound(played, 1.0, 1.0)[0]
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    assert np.argmax(spectrum) == pytest.approx(660, abs=2)
    level = 20 * np.log10(sound.std() * 20 / 20e-6)
    # 440 Hz, at which the loop's level was set, counts 4.0 dB less in dB(A)
    assert level - 4.0 == pytest.approx(float(played.truth(1.5).level_db[0]), abs=1.5)


def test_tyre_recordings(world, tmp_path):
    _loops(tmp_path)
    scene = world((15.0, 3.0, 15.0))
    synthetic = render_sound(scene, 2, 0.5)
    played = render_sound(replace(scene, recordings=load_recordings(tmp_path, RATE)), 2, 0.5)
    assert played.std() == pytest.approx(synthetic.std(), rel=0.7)
    assert not np.allclose(played, synthetic, atol=1e-3 * synthetic.std())


@pytest.mark.parametrize(
    ('name', 'content', 'says'),
    [
        ('engine.wav', np.zeros((44100, 2)), 'one channel, found 2'),
        ('engine.wav', np.zeros(44100), 'silence'),
        ('engine.wav', np.ones(100), '0.5 to 60 s'),
        ('horn.wav', np.ones(44100), 'begins with engine or tyre'),
        ('tyre.ogg', None, 'not a readable recording'),
    ],
)
def test_bad_recordings_are_named(tmp_path, name, content, says):
    path = tmp_path / name
    if content is None:
        path.write_bytes(b'no sound')
    else:
        soundfile.write(path, content, 44100)
    with pytest.raises(AvdetError, match=says) as error:
        load_recordings(tmp_path, RATE)
    assert name in str(error.value)


def test_no_recordings(tmp_path):
    with pytest.raises(AvdetError, match='found none'):
        load_recordings(tmp_path, RATE)
    with pytest.raises(AvdetError, match='expected a folder'):
        load_recordings(tmp_path / 'missing', RATE)
