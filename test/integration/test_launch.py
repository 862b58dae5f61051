"""The launch files under the real `ros2 launch`, alone and included next to another package's.

Skipped where launch is not installed, as in an environment made by `make setup`.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time

import pytest

pytest.importorskip('launch_ros', reason='ros2 launch is not installed')
if shutil.which('ros2') is None:
    pytest.skip('ros2 is not on the path', allow_module_level=True)

pytestmark = [pytest.mark.ros, pytest.mark.slow]

OTHER = """
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, LogInfo
from launch.substitutions import EnvironmentVariable, LaunchConfiguration

NAMES = ('model', 'device', 'tracker', 'namespace')


def generate_launch_description():
    declared = [DeclareLaunchArgument(name, default_value=f'own {name}') for name in NAMES]
    message = ['other:']
    for name in NAMES:
        message += [f' {name}=', LaunchConfiguration(name)]
    name = 'FASTDDS_DEFAULT_PROFILES_FILE'
    message += [' profile=', EnvironmentVariable(name, default_value='-')]
    return LaunchDescription([*declared, LogInfo(msg=message)])
"""

PYTHON = """
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.substitutions import PathJoinSubstitution
from launch_ros.substitutions import FindPackageShare

FILE = PathJoinSubstitution([FindPackageShare('avdet_ros'), 'launch', 'avdet_include.launch.py'])


def generate_launch_description():
    return LaunchDescription(
        [
            DeclareLaunchArgument('model', default_value='yolo.pt'),
            DeclareLaunchArgument('device', default_value='cuda:0'),
            IncludeLaunchDescription(
                FILE,
                launch_arguments={
                    'avdet_source': 'topic',
                    'avdet_model': 'MODEL',
                    'avdet_namespace': 'ears',
                    'avdet_overlay': 'False',
                }.items(),
            ),
            IncludeLaunchDescription('OTHER'),
        ]
    )
"""

XML = """<launch>
  <arg name="model" default="yolo.pt"/>
  <arg name="device" default="cuda:0"/>
  <include file="$(find-pkg-share avdet_ros)/launch/avdet_include.launch.py">
    <arg name="avdet_source" value="topic"/>
    <arg name="avdet_model" value="MODEL"/>
    <arg name="avdet_namespace" value="ears"/>
    <arg name="avdet_overlay" value="false"/>
  </include>
  <include file="OTHER"/>
</launch>
"""

YAML = """launch:
- arg: {name: model, default: yolo.pt}
- arg: {name: device, default: 'cuda:0'}
- include:
    file: $(find-pkg-share avdet_ros)/launch/avdet_include.launch.py
    arg:
    - {name: avdet_source, value: topic}
    - {name: avdet_model, value: MODEL}
    - {name: avdet_namespace, value: ears}
    - {name: avdet_overlay, value: 'False'}
- include:
    file: OTHER
"""


TO_THE_END = ('what launch never prints',)


def launch(*words: str, until: tuple[str, ...], timeout_s: float = 120.0) -> str:
    """The output of `ros2 launch` until it contains all these words, or until it ends."""
    environment = {**os.environ, 'PYTHONUNBUFFERED': '1'}
    for name in ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE'):
        environment.pop(name, None)
    process = subprocess.Popen(
        ['ros2', 'launch', *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        start_new_session=True,
    )
    killer = time.monotonic() + timeout_s
    printed = ''
    try:
        for line in process.stdout:
            printed += line
            if all(word in printed for word in until) or time.monotonic() > killer:
                break
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
        rest, _ = process.communicate(timeout=60)
    return printed + rest


@pytest.mark.parametrize(
    ('name', 'text'), [('car.launch.py', PYTHON), ('car.xml', XML), ('car.yaml', YAML)]
)
def test_included_launch_file_leaks_no_arguments_to_another_package(tmp_path, name, text):
    other, model = tmp_path / 'other.launch.py', tmp_path / 'none.onnx'
    other.write_text(OTHER)
    file = tmp_path / name
    file.write_text(text.replace('OTHER', str(other)).replace('MODEL', str(model)))
    printed = launch(str(file), 'tracker:=bytetrack.yaml', until=('none.onnx: No such file',))
    # The other launch file gets the arguments of the including one, but none of this package.
    arguments = (
        'model=yolo.pt device=cuda:0 tracker=bytetrack.yaml namespace=own namespace profile=-'
    )
    assert f'other: {arguments}' in printed
    # This package gets the model and namespace given to it, and the default tracker.
    assert (
        f'[ears.detector]: cannot configure: cannot read the model file {model}: No such'
        in printed
    )
    assert 'process started' in printed
    assert '[overlay-' not in printed
    assert 'Caught exception' not in printed


def test_undeclared_argument_is_rejected():
    printed = launch('avdet_ros', 'avdet.launch.py', 'sorce:=topic', until=TO_THE_END)
    assert 'sorce: expected an argument' in printed
    assert 'did you mean source?' in printed
    assert 'process started' not in printed


def test_missing_rviz_is_reported_and_the_nodes_start(tmp_path):
    if shutil.which('rviz2'):
        pytest.skip('rviz2 is installed')
    printed = launch(
        'avdet_ros',
        'avdet.launch.py',
        'rviz:=True',
        'source:=topic',
        'namespace:=eyes',
        f'model:={tmp_path}/none.onnx',
        until=('[eyes.detector]: cannot configure',),
    )
    assert 'apt-get install ros-jazzy-rviz2; the nodes run without it' in printed
    assert '[eyes.detector]: cannot configure' in printed
