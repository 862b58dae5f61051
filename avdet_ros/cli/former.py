"""Former names of commands, from before there were groups: hidden, kept for one version.

Each prints one sentence on standard error, then runs the command of today.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from avdet_ros.cli.bag_from_drive import drive_to_bag
from avdet_ros.cli.bag_process import process
from avdet_ros.cli.bag_replay import replay
from avdet_ros.cli.bag_to_dataset import bag_to_dataset
from avdet_ros.cli.eval_check_dataset import check_dataset
from avdet_ros.cli.eval_compare import compare
from avdet_ros.cli.eval_inspect_model import inspect_model
from avdet_ros.cli.eval_model import evaluate
from avdet_ros.cli.eval_trackers import evaluate_trackers
from avdet_ros.cli.sim_check import simulate_check
from avdet_ros.cli.sim_drives import simulate
from avdet_ros.cli.sim_export_mavd import export_mavd
from avdet_ros.cli.sim_windows import simulate_windows
from avdet_ros.cli.train_convert import convert_checkpoint
from avdet_ros.cli.train_label import label
from avdet_ros.cli.train_reproduce import reproduce
from avdet_ros.cli.train_search import search
from avdet_ros.cli.train_selector import train_selector
from avdet_ros.cli.train_student import train
from avdet_ros.cli.train_teacher import train_teacher

NAMES: dict[str, tuple[str, Callable[..., None]]] = {
    'bag-to-dataset': ('bag to-dataset', bag_to_dataset),
    'check-dataset': ('eval check-dataset', check_dataset),
    'compare': ('eval compare', compare),
    'convert-checkpoint': ('train convert-checkpoint', convert_checkpoint),
    'drive-to-bag': ('bag from-drive', drive_to_bag),
    'evaluate': ('eval model', evaluate),
    'evaluate-trackers': ('eval trackers', evaluate_trackers),
    'export-mavd': ('sim export-mavd', export_mavd),
    'inspect-model': ('eval inspect-model', inspect_model),
    'label': ('train label', label),
    'process': ('bag process', process),
    'replay': ('bag replay', replay),
    'reproduce': ('train reproduce', reproduce),
    'search': ('train search', search),
    'simulate': ('sim drives', simulate),
    'simulate-check': ('sim check', simulate_check),
    'simulate-windows': ('sim windows', simulate_windows),
    'train-selector': ('train selector', train_selector),
    'train-teacher': ('train teacher', train_teacher),
}
"""Former top-level names: the command's name of today, and its function."""

FORM = 'former-form'
"""Hidden command of a group whose name used to be a command itself."""


class TrainGroup(TyperGroup):
    """Accepts ``avdet train RECIPE`` too."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Pass a recipe in the place of a command on to the command that takes one."""
        if args and args[0] not in self.commands and _is_recipe(args):
            args = [FORM, *args]
        return super().parse_args(ctx, args)


class BenchGroup(TyperGroup):
    """Accepts ``avdet bench`` with options but without a command too."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Pass options in the place of a command on to the command that used to take them."""
        if not args or (args[0].startswith('-') and args[0] != '--help'):
            args = [FORM, *args]
        return super().parse_args(ctx, args)


GROUPS: dict[str, type[TyperGroup]] = {'train': TrainGroup, 'bench': BenchGroup}
"""Groups whose name used to be a command."""


def add_to(app: typer.Typer) -> None:
    """Add the former top-level names of commands."""
    for name, (now, function) in NAMES.items():
        app.command(name, hidden=True)(renamed(name, now, function))


def add_to_group(name: str, group: typer.Typer) -> None:
    """Let a group's name work as the command that it used to be."""
    if name == 'train':
        group.command(FORM, hidden=True)(renamed('train RECIPE', 'train student RECIPE', train))
    elif name == 'bench':
        now = 'bench steps, avdet bench latency and avdet bench training'
        group.command(FORM, hidden=True)(renamed('bench', now, bench))


def renamed(name: str, now: str, function: Callable[..., None]) -> Callable[..., None]:
    """Return the command, preceded by a sentence with its name of today."""

    @wraps(function)
    def command(*args: Any, **options: Any) -> None:
        print(
            f'avdet {name} is called avdet {now} now; the former name ends with version 0.2',
            file=sys.stderr,
        )
        function(*args, **options)

    return command


def bench(
    model: Annotated[Path | None, typer.Option()] = None,
    rig: Annotated[Path | None, typer.Option()] = None,
    runs: Annotated[int, typer.Option()] = 200,
    threads: Annotated[int | None, typer.Option()] = None,
    pipeline: Annotated[bool, typer.Option()] = True,
    seconds: Annotated[float, typer.Option()] = 60,
    training: Annotated[bool, typer.Option('--training')] = False,
    data: Annotated[Path | None, typer.Option()] = None,
    out: Annotated[Path | None, typer.Option()] = None,
) -> None:
    """Time features, inference, trackers, messages and the renderer."""
    from avdet_ros.cli import bench_latency, bench_steps, bench_training
    from avdet_ros.cli.bench_options import write_results

    bench_steps.check_runs(runs)
    bench_latency.check_seconds(seconds)
    if training:
        bench_training.training(rig, threads or 1, data, out)
        return
    results = bench_steps.show_steps(model, rig, runs, threads)
    results |= bench_latency.show_latency(model, rig, seconds) if pipeline else {'pipeline': []}
    write_results(out, results)


def _is_recipe(args: list[str]) -> bool:
    """Return whether the arguments of ``avdet train`` name a recipe instead of a command."""
    words = [word for word in args if not word.startswith('-')]
    if args[0].startswith('-'):
        return args[0] != '--help' and bool(words)
    return args[0].endswith(('.yaml', '.yml')) or Path(args[0]).exists() or '/' in args[0]
