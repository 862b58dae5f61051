"""Selector files, and the rig and teachers that they are made for."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from avdet_ros.errors import AvdetError
from avdet_ros.training.sounding.network import SelectorNet
from avdet_ros.training.sounding.selector_file import FILE, read_selector, write_selector

TEACHERS = {'rgb': 'abc', 'thermal': 'def'}


def test_selector_file_round_trips(tmp_path, rig):
    network = SelectorNet(('sound', 'motion'))
    path = write_selector(tmp_path, network, rig, TEACHERS)
    for where in (path, tmp_path):
        again = read_selector(where)
        assert again.network.kinds == ('sound', 'motion')
        for name, value in network.state_dict().items():
            assert torch.equal(again.network.state_dict()[name], value)
        again.check(rig, TEACHERS, str(path))


def test_selector_of_another_rig_or_other_teachers_is_rejected(tmp_path, rig):
    selector = read_selector(write_selector(tmp_path, SelectorNet(('sound',)), rig, TEACHERS))
    other = replace(rig, microphones_m=rig.microphones_m + 0.2)
    with pytest.raises(AvdetError, match=r'microphones_m: expected those of the rig in use'):
        selector.check(other, TEACHERS, 'selector.pt')
    for teachers in ({'rgb': 'abc'}, {**TEACHERS, 'rgb': 'xyz'}, {}):
        with pytest.raises(AvdetError, match='found one for rgb abc, thermal def; avdet train'):
            selector.check(rig, teachers, 'selector.pt')


def test_missing_or_invalid_selector_is_rejected(tmp_path):
    with pytest.raises(
        AvdetError, match='expected a selector of avdet train selector, found none'
    ):
        read_selector(tmp_path)
    (tmp_path / FILE).write_bytes(b'no file of torch')
    with pytest.raises(AvdetError, match='expected a selector of avdet train selector, found'):
        read_selector(tmp_path)
    torch.save({'about': '{"kinds": ["smell"], "rig": {}, "teachers": {}}'}, tmp_path / FILE)
    with pytest.raises(AvdetError, match='evidence of the kind smell'):
        read_selector(tmp_path)
