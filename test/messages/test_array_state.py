"""The array state as a message: round trip, bounds, and errors for any other text."""

from __future__ import annotations

from dataclasses import replace
import json

from helpers.examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from avdet_ros.errors import AvdetError
from avdet_ros.messages.array_state import array_text, read_array
from avdet_ros.rig import Rig, load_rig


def calibrated():
    rng = np.random.default_rng(0)
    rig = load_rig()
    return replace(
        rig,
        microphones_m=rig.microphones_m + rng.normal(0, 0.01, (8, 3)),
        array_yaw_deg=1.25,
        gain_db=rng.normal(0, 2, 8),
        delay_s=rng.normal(0, 3e-5, 8),
        alive=np.arange(8) != 3,
    )


def test_array_round_trips_through_a_message():
    rig = calibrated()
    found = read_array(array_text(rig), load_rig(), 'array')
    np.testing.assert_allclose(found.microphones_m, rig.microphones_m, atol=1e-6)
    np.testing.assert_allclose(found.gain_db, rig.gain_db, atol=1e-3)
    np.testing.assert_allclose(found.delay_s, rig.delay_s, atol=1e-9)
    assert found.array_yaw_deg == 1.25
    assert found.alive.tolist() == rig.alive.tolist()
    assert found.camera is not None
    assert len(array_text(rig)) < 1500


@pytest.mark.parametrize(
    ('key', 'value', 'sentence'),
    [
        ('alive', [True] * 7, 'alive: expected 8 of true or false'),
        ('alive', [1] * 8, 'alive: expected 8 of true or false'),
        ('alive', [True, True] + [False] * 6, 'at least 3 true'),
        ('gain_db', [50] * 8, 'gain_db: expected 8 numbers of at most 40'),
        ('gain_db', [float('nan')] * 8, 'gain_db: expected 8 numbers'),
        ('gain_db', ['loud'] * 8, 'gain_db: expected 8 numbers'),
        ('gain_db', [0.0] * 7, 'gain_db: expected 8 numbers'),
        ('array_yaw_deg', 721.0, 'array_yaw_deg: expected 1 numbers of at most 720'),
        ('microphones_m', [[0, 0, 101.0]] * 8, 'numbers of at most 100, found'),
        ('delay_s', None, 'delay_s: expected 8 numbers of at most 0.002, found None'),
        ('microphones_m', [[0, 0]] * 8, 'microphones_m: expected 8 x 3 numbers'),
        ('microphones_m', 'far', 'microphones_m: expected 8 x 3 numbers'),
        ('array_yaw_deg', [1], 'array_yaw_deg: expected 1 numbers'),
    ],
)
def test_errors_name_the_invalid_key(key, value, sentence):
    tree = {**json.loads(array_text(calibrated())), key: value}
    with pytest.raises(AvdetError) as error:
        read_array(json.dumps(tree), load_rig(), '/avdet/array')
    assert str(error.value).startswith('/avdet/array: ')
    assert sentence in str(error.value)


ANY = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=9) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=30,
)


@given(st.text(max_size=200) | ANY.map(json.dumps) | st.just('[' * 9000) | st.just('1' * 30000))
@settings(max_examples=examples(150), deadline=None)
def test_any_text_is_an_array_or_a_one_line_error(text):
    sentence, found = '', None
    try:
        found = read_array(text, load_rig(), 'array')
    except AvdetError as error:
        sentence = str(error)
    assert isinstance(found, Rig) != bool(sentence)
    assert len(sentence) < 500
    assert '\n' not in sentence


def test_values_at_their_bounds_are_accepted_and_the_rest_kept():
    tree = json.loads(array_text(calibrated()))
    tree |= {'gain_db': [-40.0] * 8, 'delay_s': [0.002] * 8, 'array_yaw_deg': -720}
    tree['alive'] = [True] * 3 + [False] * 5
    rig = load_rig()
    found = read_array(json.dumps(tree), rig, 'array')
    assert found.gain_db.tolist() == [-40] * 8
    assert found.delay_s.tolist() == [0.002] * 8
    assert (found.array_yaw_deg, found.alive.sum()) == (-720, 3)
    assert (found.names, found.camera) == (rig.names, rig.camera)
    assert found.microphones_m.dtype == np.float64
    long = json.dumps(tree | {'more': 'x' * 20_000})
    with pytest.raises(AvdetError, match='array: expected at most 20000 characters, found 2'):
        read_array(long, rig, 'array')
    with pytest.raises(AvdetError, match='array: expected a JSON object, found'):
        read_array('[1]', rig, 'array')
