"""Install Python packages into the environment, and repair interrupted installations."""

from __future__ import annotations

from collections.abc import Sequence
import csv
from pathlib import Path
import shutil

from commands import run, say


def install_runtime(venv: Path, pins: Path, lists: Sequence[Path], inference: str) -> None:
    """Install the runtime packages, with exactly one of the two ONNX Runtimes.

    Args:
        venv: the environment.
        pins: the constraints file.
        lists: requirement files.
        inference: 'cpu' or 'gpu'.
    """
    other = 'onnxruntime' if inference == 'gpu' else 'onnxruntime-gpu'
    if (venv / 'bin' / 'pip').exists() and any(site(venv).glob(f'{other.replace("-", "_")}-*')):
        both = ['onnxruntime', 'onnxruntime-gpu']  # they share files, so neither is whole alone
        pip(venv, 'uninstall', '--yes', *both)
    install(venv, pins, lists, 'setuptools')
    if site(venv).parent.name != 'python3.11':
        install(venv, pins, [pins.with_name('python312.txt')])
        pip(venv, 'install', '--no-deps', '--constraint', str(pins), 'trackeval')


def install(venv: Path, pins: Path, lists: Sequence[Path], *names: str) -> None:
    """Install requirement files and names at the pinned versions; repair an interrupted call."""
    trying = venv / '.setup' / 'pip-is-running'
    if trying.exists():
        mend(venv)
    trying.parent.mkdir(exist_ok=True)
    trying.touch()
    files = [word for path in lists for word in ('--requirement', str(path))]
    pip(venv, 'install', '--constraint', str(pins), *files, *names)
    # trackeval requires opencv-python, which has the same files as the headless build but needs
    # display libraries. The files of the headless build must be the ones that remain.
    headless = next(site(venv).glob('opencv_python_headless-*.dist-info'), None)
    if headless and not complete(site(venv), headless):
        again = ('--force-reinstall', '--no-deps', '--constraint', str(pins))
        pip(venv, 'install', *again, 'opencv-python-headless')
    trying.unlink()


def install_project(venv: Path, root: Path) -> None:
    """Install this checkout and its commands into the environment, editable."""
    pip(venv, 'install', '--no-deps', '--no-build-isolation', '--editable', str(root))


def pip(venv: Path, *words: str) -> None:
    """Run the environment's pip."""
    quiet = ('--disable-pip-version-check', '--no-input')
    log = venv.parent / '.ros' / 'setup.log'
    run([str(venv / 'bin' / 'python'), '-m', 'pip', words[0], *quiet, *words[1:]], log)


def site(venv: Path) -> Path:
    """Return the environment's site-packages."""
    return next((venv / 'lib').glob('python3*')) / 'site-packages'


def mend(venv: Path) -> None:
    """Remove the record of packages that an interrupted pip left incomplete.

    pip then considers them missing and installs them again. A package is complete if every file of
    its RECORD exists with its size. CMake exports are exempt because set-up edits them, and so is
    opencv-python, most of whose files are those of the headless build.
    """
    packages = site(venv)
    for leftover in packages.glob('~*'):  # files that pip moved aside for an upgrade
        shutil.rmtree(leftover, ignore_errors=True)
    for record_folder in packages.glob('*.dist-info'):
        if record_folder.name.startswith('opencv_python-') and (record_folder / 'RECORD').exists():
            continue
        if not complete(packages, record_folder):
            say(f'      {record_folder.name[: -len(".dist-info")]} was interrupted; reinstalling')
            shutil.rmtree(record_folder)


def complete(packages: Path, record_folder: Path) -> bool:
    """Return whether every file in a package's RECORD exists with its size."""
    record = record_folder / 'RECORD'
    if not record.exists() or not (record_folder / 'INSTALLER').exists():
        return False
    with record.open(newline='', encoding='utf-8') as rows:
        for name, _, size in csv.reader(rows):
            path = packages / name
            if name.endswith('.pyc'):
                continue
            if not path.exists():
                return False
            if size and path.suffix != '.cmake' and path.stat().st_size != int(size):
                return False
    return True
