"""The package as a whole: its imports, its requirements and its descriptions."""

from __future__ import annotations

import ast
import configparser
import os
from pathlib import Path
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

from import_graph import (
    INNER_LEVEL,
    INNER_ROOMS,
    LEVEL,
    PACKAGE,
    ROOT,
    inner_room_of,
    module_arrows,
    modules,
    room_of,
    tree_of,
)
import pytest

import avdet_ros

MODULES = modules()
LISTS = ROOT / 'tools' / 'requirements'


def imported(code: ast.Module, *, at_import: bool) -> set[str]:
    """Top-level names that code imports; `at_import` leaves out what functions import."""
    names: set[str] = set()

    def walk(node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            if at_import and isinstance(
                child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
            ):
                continue
            if isinstance(child, ast.If) and 'TYPE_CHECKING' in ast.unparse(child.test):
                continue
            if isinstance(child, ast.Import):
                names.update(alias.name.partition('.')[0] for alias in child.names)
            elif isinstance(child, ast.ImportFrom) and child.module and not child.level:
                names.add(child.module.partition('.')[0])
            walk(child)

    walk(code)
    return names


def names_of(path: Path) -> set[str]:
    """Return the packages that a requirement file names."""
    lines = (line.partition('#')[0].strip() for line in path.read_text().splitlines())
    return {re.split(r'[\[=;<> ]', line)[0].lower().replace('_', '-') for line in lines if line}


def definition() -> dict:
    """The keywords that setup.py hands to setuptools."""
    program = (
        'import json, setuptools; kept = {}\n'
        'setuptools.setup = lambda **words: kept.update(words)\n'
        'exec(open("setup.py").read()); print(json.dumps(kept))'
    )
    done = subprocess.run(
        [sys.executable, '-c', program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    import json

    return json.loads(done.stdout)


def part(path: Path) -> str:
    inside = path.relative_to(PACKAGE)
    return inside.parts[0] if len(inside.parts) > 1 else ''


ONLY_IN = {
    ('training',): {'torch', 'torchvision', 'lightning', 'timm', 'effdet'},
    ('nodes', 'messages'): {'rclpy'},
}
"""The only rooms that may import these packages at import time."""


def test_every_module_belongs_to_a_room():
    outside = {name for name in module_arrows() if '.' in name and room_of(name) not in LEVEL}
    assert not outside - {'avdet_ros.__init__'}


def test_imports_only_go_to_lower_rooms():
    climbing = [
        f'{name} imports {other}'
        for name, others in module_arrows().items()
        if not name.endswith('.__init__') or name.count('.') > 1
        for other in others
        if room_of(name) != room_of(other) and LEVEL[room_of(other)] >= LEVEL[room_of(name)]
    ]
    assert not climbing


def test_imports_inside_a_room_only_go_to_lower_inner_rooms():
    climbing = [
        f'{name} imports {other}'
        for name, others in module_arrows().items()
        for other in others
        if (above := inner_room_of(name)) and (below := inner_room_of(other))
        if room_of(name) == room_of(other) and above != below
        if INNER_LEVEL[below] >= INNER_LEVEL[above]
    ]
    assert not climbing


MANY = 10
"""Most modules that a room inside a room may have, so that it stays easy to survey."""


def test_inner_rooms_have_few_modules():
    folders = [
        path for room in INNER_ROOMS for path in (PACKAGE / room).rglob('*') if path.is_dir()
    ]
    counts = {
        str(folder.relative_to(PACKAGE)): len([*folder.glob('[!_]*.py')]) for folder in folders
    }
    assert {room: count for room, count in counts.items() if count > MANY} == {}


def test_imports_have_no_cycles():
    graph = module_arrows()
    state: dict[str, int] = {}

    def visit(name: str, way: tuple[str, ...]) -> None:
        if state.get(name) == 2 or name not in graph:
            return
        assert state.get(name) != 1, f'a circle: {" -> ".join([*way[way.index(name) :], name])}'
        state[name] = 1
        for other in sorted(graph[name]):
            visit(other, (*way, name))
        state[name] = 2

    for name in graph:
        visit(name, ())


def test_only_training_imports_torch_and_only_nodes_import_rclpy():
    for path in MODULES:
        code = tree_of(path)
        at_import = imported(code, at_import=True)
        for rooms, names in ONLY_IN.items():
            if part(path) not in rooms:
                assert not at_import & names, path.relative_to(ROOT)
        assert not imported(code, at_import=False) & {'librosa', 'pickle'}, path.relative_to(ROOT)


def test_runtime_imports_without_torch():
    program = """
import importlib, pkgutil, sys

class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name == 'torch':
            raise ImportError('torch is wanted by the runtime')

sys.meta_path.insert(0, NoTorch())
import avdet_ros
for part in ('audio', 'detection', 'tracking', 'simulation', 'bags', 'drawing'):
    package = importlib.import_module('avdet_ros.' + part)
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):
        importlib.import_module(module.name)
        print(module.name)
"""
    done = subprocess.run(
        [sys.executable, '-c', program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert 'avdet_ros.audio.features' in done.stdout


TESTED_FROM_OUTSIDE = {'integration', 'helpers'}
"""Folders of test/ that belong to no room: tests of several rooms, and shared helpers."""


def test_files_of_tests_are_named_after_their_modules():
    """test/<room>/test_<module>.py or test_<module>_<topic>.py; test_<room>.py for the whole."""
    strange = []
    for path in sorted((ROOT / 'test').rglob('test_*.py')):
        inside = path.relative_to(ROOT / 'test')
        if inside.parts[0] in TESTED_FROM_OUTSIDE or inside.name == 'test_package.py':
            continue
        folder = (ROOT if inside.parts[0] == 'tools' else PACKAGE) / inside.parent
        words = inside.stem.split('_')[1:]
        beginnings = {'_'.join(words[:count]) for count in range(1, len(words) + 1)}
        modules = {module.stem for module in folder.glob('*.py')} | {folder.name}
        if not beginnings & modules:
            module = folder / f'{"_".join(words)}.py'
            strange.append(f'{inside}: expected {module.relative_to(ROOT)}')
    assert not strange


FOLDERS = 'avdet_ros|config|tools|test|docs|launch'
PAGES = sorted([*ROOT.glob('*.md'), *(ROOT / 'docs').glob('*.md'), ROOT / 'models/MODEL_CARD.md'])


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_files_named_on_a_page_exist(page):
    text = page.read_text(encoding='utf-8')
    named = set(re.findall(rf'\b((?:{FOLDERS})/[a-z][\w/.-]+\.\w+)', text))
    gone = [name for name in named if not (ROOT / name).exists()]
    assert not gone
    for target in re.findall(r'\]\((?!https?:)([^)#\s]+)', text):
        assert (page.parent / target).exists(), target


def python_files():
    return {*MODULES, *(ROOT / 'test').rglob('*.py'), *(ROOT / 'tools').rglob('*.py')}


def test_linter_checks_every_file():
    command = [sys.executable, '-m', 'ruff', 'check', '--show-files']
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert not python_files() - {Path(line) for line in shown.splitlines()}


def test_formatter_is_never_switched_off():
    words = 'fmt: ' + 'skip', 'fmt: ' + 'off'
    files = python_files()
    assert not [path for path in files if any(w in path.read_text('utf-8') for w in words)]


def test_versions_agree():
    manifest = ElementTree.parse(ROOT / 'package.xml')
    version = manifest.findtext('version')
    assert version == avdet_ros.__version__
    assert f'## {version}' in (ROOT / 'CHANGELOG.md').read_text()
    assert definition()['version'] == version


def test_every_requirement_is_pinned():
    pins = names_of(LISTS / 'constraints.txt')
    for path in LISTS.glob('*.txt'):
        assert names_of(path) <= pins, path.name
    for line in (LISTS / 'constraints.txt').read_text().splitlines():
        if line and not line.startswith('#'):
            assert re.fullmatch(r'[a-z0-9.-]+==[\w.+-]+(; python_version [<>]=? "3\.\d+")?', line)


def test_hooks_have_the_pinned_versions():
    import yaml

    pins = dict(
        line.split(';')[0].split('==')
        for line in (LISTS / 'constraints.txt').read_text().splitlines()
        if line and not line.startswith('#')
    )
    hooks = yaml.safe_load((ROOT / '.pre-commit-config.yaml').read_text())
    revisions = {repo['repo'].rpartition('/')[2]: repo['rev'] for repo in hooks['repos']}
    assert revisions['ruff-pre-commit'] == f'v{pins["ruff"]}'
    assert revisions['codespell'] == f'v{pins["codespell"]}'


def test_hosted_ci_runs_the_checks_required_for_a_merge():
    import yaml

    workflow = yaml.safe_load((ROOT / '.github' / 'workflows' / 'test.yml').read_text())
    steps = workflow['jobs']['test']['steps']
    assert '.ci/run' in [step.get('run') for step in steps]
    assert os.access(ROOT / '.ci' / 'run', os.X_OK)


def test_each_python_version_gets_one_version_of_a_package():
    from packaging.requirements import Requirement

    lines = (LISTS / 'constraints.txt').read_text().splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith('#')]
    for version in ('3.11', '3.12'):
        here = {'python_version': version}
        names = [pin.name for pin in pins if not pin.marker or pin.marker.evaluate(here)]
        assert len(names) == len(set(names)), version


def test_setup_py_matches_the_requirement_lists():
    words = definition()
    plain = {re.split(r'[\[;]', name)[0] for name in words['install_requires']} - {'setuptools'}
    assert plain == names_of(LISTS / 'runtime.txt')
    for extra, names in words['extras_require'].items():
        plain = {re.split(r'[\[;]', name)[0] for name in names}
        assert plain == names_of(LISTS / f'{extra}.txt'), extra


def test_programs_and_shared_files_exist():
    words = definition()
    for script in words['entry_points']['console_scripts']:
        module = script.split('=')[1].strip().partition(':')[0]
        assert (ROOT / f'{module.replace(".", "/")}.py').exists(), script
    files = [name for _, names in words['data_files'] for name in names]
    assert {'resource/avdet_ros', 'package.xml', 'config/rig.yaml'} <= set(files)
    settings = configparser.ConfigParser()
    settings.read(ROOT / 'setup.cfg')
    assert settings['install']['install_scripts'] == '$base/lib/avdet_ros'


def test_setup_py_lists_every_package():
    folders = {path.parent for path in MODULES}
    named = {name.replace('.', '/') for name in definition()['packages']}
    assert {str(folder.relative_to(ROOT)) for folder in folders} == named


def test_run_command_prints_its_help():
    done = subprocess.run(
        [sys.executable, '-m', 'avdet_ros.cli.main', 'run', '--help'],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, 'COLUMNS': '100'},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert 'Usage' in done.stdout


def test_unknown_command_is_rejected_without_traceback(avdet):
    status, _, error = avdet('listen-to-whales')
    assert status != 0
    assert 'Traceback' not in error
    assert 'listen-to-whales' in error
