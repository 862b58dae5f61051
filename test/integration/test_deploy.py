"""The container and the systemd unit agree with the pages and the launch file."""

from __future__ import annotations

import configparser
from pathlib import Path
import re

import pytest

from avdet_ros.graph import parse_arguments

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / 'docker/Dockerfile'


def pip_packages(text):
    """Packages named in the first `pip install` that also takes requirement files."""
    line = re.search(r'pip install ((?:(?!pip install).)*?) -r', text.replace('\\\n', ' '), re.S)
    return {word for word in line[1].split() if not word.startswith('-')}


def test_container_installs_the_packages_of_the_install_page():
    page = (ROOT / 'docs/install.md').read_text()
    wanted = pip_packages(page[page.index('A machine with ROS 2 Jazzy') :])
    assert 'mcap' in wanted
    assert pip_packages(DOCKERFILE.read_text()) == wanted


def test_files_copied_into_the_container_exist():
    for line in re.findall(r'^COPY (.+)', DOCKERFILE.read_text(), re.MULTILINE):
        *sources, _ = line.split()
        for source in sources:
            assert (ROOT / source).exists(), source
    left_out = (ROOT / '.dockerignore').read_text().split()
    assert not {'avdet_ros', 'config', 'launch', 'models', 'tools', 'package.xml'} & set(left_out)


def test_systemd_unit_passes_valid_arguments():
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str
    unit.read(ROOT / 'config/systemd/avdet.service')
    command = unit['Service']['ExecStart']
    words = re.findall(r'\b\w+:=[^\s\']+', command)
    assert {word.split(':=')[0] for word in words} >= {'source', 'device', 'rig'}
    assert parse_arguments(words)
    with pytest.raises(KeyError):
        unit['Service']['KillSignal']  # the default, SIGTERM, ends the nodes as SIGINT does
    assert int(unit['Service']['TimeoutStopSec']) > 32
