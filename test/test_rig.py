"""The rig file: its geometry, errors of invalid values, and arbitrary bytes."""

import copy

from helpers.examples import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
import yaml

from avdet_ros.errors import AvdetError
from avdet_ros.rig import Rig, default_rig_path, load_rig, parse_rig, yaw_pitch_roll_deg

TREE = yaml.safe_load(default_rig_path().read_text())


@pytest.fixture
def tree():
    return copy.deepcopy(TREE)


def test_shipped_rig_is_an_octagon():
    rig = load_rig()
    centre = rig.microphones_m - rig.array_position_m
    assert rig.microphones_m.shape == (8, 3)
    np.testing.assert_allclose(np.linalg.norm(centre, axis=1), 0.25, atol=1e-5)
    azimuth_deg = np.degrees(np.arctan2(centre[:, 1], centre[:, 0])) % 360
    np.testing.assert_allclose(azimuth_deg, np.arange(8) * 45, atol=1e-3)
    assert rig.channels.tolist() == list(range(8))
    assert rig.sample_rate_hz == 44100
    assert (rig.camera.width_px, rig.camera.height_px) == (1920, 650)


def test_yaw_turns_the_array_to_the_left(tree):
    tree['array']['yaw_deg'] = 90
    rig = parse_rig(tree)
    np.testing.assert_allclose(rig.microphones_m[0], [0, 0.25, 1.7], atol=1e-9)


def test_points_project_to_the_expected_pixels(tree):
    camera = parse_rig(tree).camera
    pixels, depth_m = camera.project([[10.3, 0, 1.55], [10.3, 1.0, 1.55], [10.3, 0, 0.55]])
    np.testing.assert_allclose(pixels, [[960, 300], [860, 300], [960, 400]], atol=1e-6)
    np.testing.assert_allclose(depth_m, 10)
    assert camera.project([-10.0, 0, 1.5])[1] < 0


@given(
    st.floats(-180, 180),
    st.floats(-80, 80),
    st.floats(-180, 180),
    st.lists(st.tuples(st.floats(0, 1920), st.floats(0, 650)), min_size=1, max_size=5),
)
@settings(max_examples=examples(100), deadline=None)
def test_ray_of_a_pixel_projects_back_onto_it(yaw, pitch, roll, pixels):
    tree = copy.deepcopy(TREE)
    tree['camera'].update(yaw_deg=yaw, pitch_deg=pitch, roll_deg=roll)
    camera = parse_rig(tree).camera
    rays = camera.directions(pixels)
    np.testing.assert_allclose(np.linalg.norm(rays, axis=1), 1)
    again, depth_m = camera.project(camera.position_m + 20 * rays)
    assert (depth_m > 0).all()
    np.testing.assert_allclose(again, pixels, atol=1e-6)


def test_positive_pitch_turns_the_camera_down(tree):
    tree['camera']['pitch_deg'] = 10
    camera = parse_rig(tree).camera
    assert camera.directions([960.0, 300.0])[2] == pytest.approx(-np.sin(np.radians(10)))


def test_calibration_values_are_read(tree):
    plain = parse_rig(tree)
    assert not plain.gain_db.any()
    assert not plain.delay_s.any()
    assert plain.alive.all()
    tree['array']['microphones'][1].update(gain_db=-1.5, delay_s=2e-5)
    tree['array']['microphones'][4]['dead'] = True
    rig = parse_rig(tree)
    assert rig.gain_db.tolist() == [0, -1.5, 0, 0, 0, 0, 0, 0]
    assert rig.delay_s.tolist() == [0, 2e-5, 0, 0, 0, 0, 0, 0]
    assert rig.alive.tolist() == [True] * 4 + [False] + [True] * 3


def test_rig_with_too_few_live_microphones_is_rejected(tree):
    for microphone in tree['array']['microphones'][:6]:
        microphone['dead'] = True
    with pytest.raises(AvdetError, match='expected at least 3 that are not dead, found 2'):
        parse_rig(tree)


def put(tree, path, value):
    """Set, or with ... delete, the value at a path of keys."""
    *way, last = path
    for key in way:
        tree = tree[key]
    if value is ...:
        del tree[last]
    else:
        tree[last] = value


MICROPHONE = ('array', 'microphones', 3)


@pytest.mark.parametrize(
    ('path', 'value', 'sentence'),
    [
        (('array',), ..., 'array: expected a value, found none'),
        (('camera',), 'no', "camera: expected keys with values, found 'no'"),
        (('wheels',), 4, 'wheels: expected one of frame_id, array, camera, found an unknown key'),
        (('array', 'microphones'), ..., 'array.microphones: expected a value'),
        (
            ('array', 'microphones', 7),
            ...,
            'array.microphones: expected a list of 8 microphones, found 7',
        ),
        ((*MICROPHONE, 'position_m'), ..., 'array.microphones[3].position_m: expected a value'),
        ((*MICROPHONE, 'position_m'), [0, 0], 'expected 3 finite numbers, found [0, 0]'),
        ((*MICROPHONE, 'position_m'), [0, 0, '1'], 'position_m: expected 3 finite numbers'),
        ((*MICROPHONE, 'position_m'), [0, 0, True], 'position_m: expected 3 finite numbers'),
        ((*MICROPHONE, 'position_m'), [0, 0, float('nan')], 'expected 3 finite numbers'),
        ((*MICROPHONE, 'position_m'), [0, 0, float('inf')], 'expected 3 finite numbers'),
        ((*MICROPHONE, 'position_m'), [0, 0, 10**400], 'expected 3 finite numbers'),
        ((*MICROPHONE, 'position_m'), [0.25, 0.0, 0.0], 'found the place of microphones[0]'),
        ((*MICROPHONE, 'channel'), 2, '[3].channel: expected a separate channel, found 2 twice'),
        ((*MICROPHONE, 'channel'), -1, 'channel: expected a whole number from 0 to 255, found -1'),
        ((*MICROPHONE, 'channel'), 256, 'a whole number from 0 to 255, found 256'),
        ((*MICROPHONE, 'channel'), 3.0, 'channel: expected a whole number'),
        ((*MICROPHONE, 'channel'), True, 'channel: expected a whole number'),
        ((*MICROPHONE, 'name'), 'front', "a unique name, found 'front' twice"),
        ((*MICROPHONE, 'gain'), 1, 'gain: expected one of name, channel, position_m'),
        ((*MICROPHONE, 'gain_db'), 41, 'gain_db: expected a number from -40 to 40, found 41'),
        ((*MICROPHONE, 'gain_db'), float('nan'), 'gain_db: expected a number from -40 to 40'),
        ((*MICROPHONE, 'delay_s'), 0.1, 'delay_s: expected a number from -0.002 to 0.002'),
        ((*MICROPHONE, 'delay_s'), True, 'delay_s: expected a number'),
        ((*MICROPHONE, 'dead'), 'yes', "dead: expected true or false, found 'yes'"),
        ((*MICROPHONE, 'dead'), 1, 'dead: expected true or false, found 1'),
        (('array', 'sample_rate_hz'), 100, 'sample_rate_hz: expected a whole number from 8000'),
        (('array', 'yaw_deg'), 'left', "a number from -360 to 360, found 'left'"),
        (('array', 'yaw_deg'), float('nan'), 'yaw_deg: expected a number'),
        (('array', 'frame_id'), '', 'array.frame_id: expected a name'),
        (('array', 'frame_id'), 'x' * 201, 'array.frame_id: expected a name'),
        (('array', 'frame_id'), ..., 'array.frame_id: expected a value, found none: the key is'),
        (('camera', 'frame_id'), ..., 'camera.frame_id: expected a value, found none'),
        (('array', 'yaw_deg'), 361, 'yaw_deg: expected a number from -360 to 360, found 361'),
        (('array', 'sample_rate_hz'), 192001, 'a whole number from 8000 to 192000, found 192001'),
        (('camera', 'image_size_px'), [15, 650], 'from 16 to 16384, found 15, 650'),
        (('camera', 'image_size_px'), [1920, 15], 'from 16 to 16384, found 1920, 15'),
        (('camera', 'image_size_px'), [16385, 650], 'from 16 to 16384, found 16385, 650'),
        (('camera', 'image_size_px'), [1920, 16385], 'from 16 to 16384, found 1920, 16385'),
        (('camera', 'image_size_px'), [1920, 650.5], 'found 1920, 650.5'),
        (('camera', 'focal_px'), [1000, 0], 'two positive numbers, found 1000, 0'),
        (('camera', 'principal_px'), [960, -1], 'a point in the image, found 960, -1'),
        (('camera', 'principal_px'), [1921, 0], 'a point in the image, found 1921, 0'),
        (('camera', 'position_m'), [0, 0], 'expected 3 finite numbers, found [0, 0]'),
        (('camera', 'position_m'), [0, 0, 1000001], 'finite numbers, found [0, 0, 1000001]'),
        ((*MICROPHONE, 'position_m'), [0.25, 0.0, 0.0049], 'the place of microphones[0]'),
        (('camera', 'image_size_px'), [1920, 0], 'two whole numbers from 16 to 16384'),
        (('camera', 'image_size_px'), [1920.5, 650], 'two whole numbers from 16 to 16384'),
        (('camera', 'focal_px'), [0, 1000], 'focal_px: expected two positive numbers'),
        (('camera', 'principal_px'), [2000, 300], 'principal_px: expected a point in the image'),
        (('camera', 'pitch_deg'), 200, 'pitch_deg: expected a number from -180 to 180'),
    ],
)
def test_errors_name_the_invalid_key(tree, path, value, sentence):
    put(tree, path, value)
    with pytest.raises(AvdetError) as error:
        parse_rig(tree, where='my.yaml')
    assert str(error.value).startswith('my.yaml: ')
    assert sentence in str(error.value)


def test_unreadable_files_are_named_in_the_error(tmp_path):
    with pytest.raises(AvdetError, match=r'cannot read the rig file .*none\.yaml'):
        load_rig(tmp_path / 'none.yaml')
    with pytest.raises(AvdetError, match='expected a rig file, found something that is not a fi'):
        load_rig(tmp_path)
    large = tmp_path / 'large.yaml'
    large.write_bytes(b'a: b\n' * 300_000)
    with pytest.raises(AvdetError, match='expected a rig file of at most 1 MiB, found 1500000'):
        load_rig(large)


SMALL = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.dates()
)
ANYTHING = st.recursive(
    SMALL,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8) | st.integers(), inner)
    ),
    max_leaves=10,
)


def check_parses_or_raises(read):
    """Check that the input gives a rig of finite numbers or a one-line error."""
    sentence = ''
    try:
        rig = read()
    except AvdetError as error:
        sentence = str(error)
    else:
        assert isinstance(rig, Rig)
        assert np.isfinite(rig.microphones_m).all()
        assert np.isfinite(rig.camera.rotation).all()
    assert '\n' not in sentence
    assert len(sentence) < 2000


@given(tree=ANYTHING)
@settings(max_examples=examples(200), deadline=None)
def test_any_tree_parses_or_raises_a_clear_error(tree):
    check_parses_or_raises(lambda: parse_rig(tree))


def places(node, path=()):
    """Paths of all values in the rig's tree."""
    found = [path] if path else []
    items = (
        node.items()
        if isinstance(node, dict)
        else enumerate(node)
        if isinstance(node, list)
        else ()
    )
    for key, value in items:
        found += places(value, (*path, key))
    return found


@given(path=st.sampled_from(places(TREE)), value=ANYTHING)
@settings(max_examples=examples(400), deadline=None)
def test_any_value_at_any_key_parses_or_raises_a_clear_error(path, value):
    tree = copy.deepcopy(TREE)
    put(tree, path, value)
    check_parses_or_raises(lambda: parse_rig(tree))


TEXT = default_rig_path().read_bytes()


@pytest.fixture(scope='module')
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp('rig') / 'rig.yaml'


@given(
    at=st.integers(0, len(TEXT)),
    gone=st.integers(0, 40),
    new=st.binary(max_size=12)
    | st.sampled_from([b'&a', b'*a', b'<<', b'!!python/object', b'[' * 400]),
)
@settings(max_examples=examples(200), deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_damaged_file_parses_or_raises_a_clear_error(scratch, at, gone, new):
    scratch.write_bytes(TEXT[:at] + new + TEXT[at + gone :])
    check_parses_or_raises(lambda: load_rig(scratch))


@pytest.mark.parametrize(
    'content',
    [
        b'!!python/object/apply:os.system ["touch hacked"]',
        b'[' * 1500,
        b'a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: &d [*c, *c]\ne: &e [*d, *d]\narray: *e',
        b'\xff\xfe\x00',
        b'',
        b'array: 2024-13-45',
        b'array: 0o777777777777777777777777777',
        b'array: {frame_id: a, sample_rate_hz: ' + b'9' * 5000 + b'}',
        b'array: {frame_id: a, sample_rate_hz: 0x' + b'f' * 5000 + b'}',
        b'? {a: b}\n: c',
        b'- 1\n- 2',
    ],
)
def test_hostile_files_only_raise_an_error(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / 'rig.yaml'
    path.write_bytes(content)
    with pytest.raises(AvdetError, match=r'rig\.yaml'):
        load_rig(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ['rig.yaml']


@pytest.mark.timeout(60)
@pytest.mark.parametrize('place', ['array: *z', 'array: {frame_id: *z}', 'camera: *z'])
def test_exponential_yaml_aliases_are_not_expanded(place):
    lines = ['z0: &z0 [x, x]']
    lines += [f'z{i}: &z{i} [*z{i - 1}, *z{i - 1}]' for i in range(1, 60)]
    nested = '\n'.join(lines).replace('z59: &z59', 'z59: &z')
    tree = yaml.safe_load(nested + '\n' + place)
    only = {key: tree[key] for key in ('array', 'camera') if key in tree}
    with pytest.raises(AvdetError) as error:
        parse_rig(only)
    assert len(str(error.value)) < 500


def test_values_at_their_bounds_are_accepted(tree):
    tree['frame_id'] = 'vehicle'
    tree['array'].update(yaw_deg=-360, sample_rate_hz=8000, frame_id='x' * 200)
    tree['array']['microphones'][0].update(gain_db=-40, delay_s=-0.002, channel=255)
    tree['array']['microphones'][1].update(gain_db=40, delay_s=0.002)
    tree['array']['microphones'][3]['position_m'] = [0.25, 0.0, 0.00501]
    for index in (2, 4, 5, 6, 7):
        tree['array']['microphones'][index]['dead'] = True
    tree['camera'].update(
        image_size_px=[16, 16384],
        principal_px=[16, 0],
        position_m=[1e6, -1e6, 0],
        yaw_deg=180,
        pitch_deg=-180,
        roll_deg=180,
    )
    rig = parse_rig(tree)
    assert (rig.frame_id, rig.array_yaw_deg, rig.sample_rate_hz) == ('vehicle', -360, 8000)
    assert (rig.device_channels, rig.alive.sum()) == (256, 3)
    assert (rig.camera.width_px, rig.camera.height_px) == (16, 16384)
    tree['array'].update(yaw_deg=360, sample_rate_hz=192000)
    tree['camera'].update(image_size_px=[16384, 16], principal_px=[0, 16])
    assert parse_rig(tree).camera.cy == 16


def test_rig_without_a_camera_raises_a_one_line_error(tree):
    del tree['camera']
    with pytest.raises(AvdetError, match=r'camera: expected a value, found none') as refused:
        parse_rig(tree)
    assert '\n' not in str(refused.value)


def test_missing_names_get_defaults(tree):
    del tree['frame_id']
    del tree['array']['microphones'][3]['name']
    tree['array'].pop('yaw_deg')
    rig = parse_rig(tree)
    assert (rig.frame_id, rig.names[3], rig.array_yaw_deg) == ('base_link', 'microphone_3', 0)


@pytest.mark.parametrize('angles', [(30.0, 20.0, -10.0), (-120.0, -5.0, 3.0)])
def test_camera_angles_round_trip_through_the_rotation(tree, angles):
    tree['camera'].update(zip(('yaw_deg', 'pitch_deg', 'roll_deg'), angles, strict=True))
    assert yaw_pitch_roll_deg(parse_rig(tree).camera.rotation) == pytest.approx(angles)


def test_error_names_nested_keys_with_their_parent():
    tree = yaml.safe_load(default_rig_path().read_text())
    tree['array']['microphones'][1] = 5
    with pytest.raises(AvdetError, match=r': array\.microphones[^X:]*: expected keys with values'):
        parse_rig(tree)


def test_errors_of_a_tree_without_file_begin_with_rig():
    with pytest.raises(AvdetError, match=r'^rig: array: expected a value, found none: the key is'):
        parse_rig({})


def test_odd_image_sizes_are_accepted(tree):
    tree['camera']['image_size_px'] = [1281, 719]
    camera = parse_rig(tree).camera
    assert (camera.width_px, camera.height_px) == (1281, 719)
