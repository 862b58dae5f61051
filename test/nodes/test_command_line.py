"""`ros2 run avdet_ros X --help` is help, and a word that nobody knows starts nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from avdet_ros.nodes.command_line import help_text, words_outside_ros_args
from avdet_ros.nodes.main import ABOUT, CLASSES
from avdet_ros.parameters import NODES


def run(program: str, *words: str) -> subprocess.CompletedProcess:
    """A program of the package as its entry point starts it; ends by itself or the test fails."""
    module = 'avdet_ros.nodes.main' if program in CLASSES else 'avdet_ros.cli.train_node'
    function = program if program in CLASSES else 'main'
    code = f'import sys; sys.argv[0] = {program!r}; from {module} import {function} as f; f()'
    command = [sys.executable, '-c', code, *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ('program', 'parameter'), [('capture', 'device'), ('recorder', 'topics'), ('train', 'recipe')]
)
def test_help_prints_the_parameters_and_starts_nothing(program, parameter):
    ended = run(program, '--help')
    assert ended.returncode == 0
    assert f'usage: ros2 run avdet_ros {program} ' in ended.stdout
    assert f'\n  {parameter}:=' in ended.stdout
    assert ended.stderr == ''


def test_every_node_has_a_help_with_every_parameter():
    assert ABOUT.keys() == CLASSES.keys() == NODES.keys()
    for name, params in NODES.items():
        text = help_text(name, ABOUT[name], params)
        assert all(f'  {param.name}:=' in text for param in params)
        assert max(map(len, text.splitlines())) < 99


@pytest.mark.parametrize(
    ('program', 'words', 'sentence'),
    [
        ('capture', ['source:=file'], 'expected --ros-args -p source:=file'),
        ('capture', ['sorce:=file'], 'did you mean source?'),
        ('detector', ['--models', 'x.onnx'], "found '--models'; --help lists them"),
        ('capture', ['--ros-args', '-p', 'a:=1', '--', 'more'], "found 'more'"),
        ('train', ['config/recipes/own_vehicle.yaml'], "found 'config/recipes/own_vehicle.yaml'"),
    ],
)
def test_a_word_that_nobody_knows_is_refused(program, words, sentence):
    ended = run(program, *words)
    assert ended.returncode == 2
    assert sentence in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert ended.stdout == ''


def test_what_rcl_takes_is_left_to_it():
    argv = ['capture', '--ros-args', '-p', 'source:=file', '-r', '__ns:=/a', '--log-level', 'info']
    assert words_outside_ros_args(argv) == []
    assert words_outside_ros_args([*argv, '--', 'x', '--ros-args', '-p', 'b:=2']) == ['x']
