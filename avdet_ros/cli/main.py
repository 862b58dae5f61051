"""The `avdet` command: a few commands to start with, all others in groups.

Each command is one function in a module of this package, named after group and command. Those
modules import only typer, rich and the standard library at the top, so that ``avdet --help`` is
fast; everything else is imported inside the function.
"""

from __future__ import annotations

from collections.abc import Callable
import sys
from typing import Annotated, Any

from rich.console import Console
from rich.markup import escape
import typer
from typer.core import TyperGroup

from avdet_ros import __version__
from avdet_ros.cli import former
from avdet_ros.cli.bag_from_drive import drive_to_bag
from avdet_ros.cli.bag_process import process
from avdet_ros.cli.bag_replay import replay
from avdet_ros.cli.bag_to_dataset import bag_to_dataset
from avdet_ros.cli.bench_device import device
from avdet_ros.cli.bench_faults import faults
from avdet_ros.cli.bench_latency import latency
from avdet_ros.cli.bench_soak import soak
from avdet_ros.cli.bench_steps import steps
from avdet_ros.cli.bench_training import training
from avdet_ros.cli.calibrate import calibrate
from avdet_ros.cli.console import set_up_logging
from avdet_ros.cli.demo import demo
from avdet_ros.cli.devices import devices
from avdet_ros.cli.doctor import doctor
from avdet_ros.cli.eval_bearings import bearings
from avdet_ros.cli.eval_check_dataset import check_dataset
from avdet_ros.cli.eval_compare import compare
from avdet_ros.cli.eval_corners import evaluate_corners
from avdet_ros.cli.eval_inspect_model import inspect_model
from avdet_ros.cli.eval_labels import evaluate_labels
from avdet_ros.cli.eval_model import evaluate
from avdet_ros.cli.eval_trackers import evaluate_trackers
from avdet_ros.cli.eval_tracks import evaluate_tracks
from avdet_ros.cli.rig_draw import rig_draw
from avdet_ros.cli.rig_from_bag import rig_from_bag
from avdet_ros.cli.run import run
from avdet_ros.cli.sim_check import simulate_check
from avdet_ros.cli.sim_drives import simulate
from avdet_ros.cli.sim_export_mavd import export_mavd
from avdet_ros.cli.sim_windows import simulate_windows
from avdet_ros.cli.train_any_array import train_any_array
from avdet_ros.cli.train_convert import convert_checkpoint
from avdet_ros.cli.train_curve import train_curve
from avdet_ros.cli.train_label import label
from avdet_ros.cli.train_quantise import quantise
from avdet_ros.cli.train_reproduce import reproduce
from avdet_ros.cli.train_search import search
from avdet_ros.cli.train_selector import train_selector
from avdet_ros.cli.train_student import train
from avdet_ros.cli.train_teacher import train_teacher
from avdet_ros.cli.view import view
from avdet_ros.errors import AvdetError
from avdet_ros.process import keep_freed_memory

START: dict[str, tuple[str, Callable[..., None]]] = {
    'demo': ('Run all nodes on a simulated drive; takes a minute.', demo),
    'doctor': ('Check sound card, camera, model and machine; report what to do.', doctor),
    'run': ('Start the nodes on microphones, a file or a simulation.', run),
    'view': ('Show bags or the running nodes in the Rerun viewer.', view),
    'devices': ('List, meter, tap or record sound devices.', devices),
    'calibrate': ("Estimate the microphones' errors from ordinary driving.", calibrate),
}
"""Commands without a group: one line of help and the function."""

GROUPS: dict[str, tuple[str, dict[str, Callable[..., None]]]] = {
    'rig': (
        'Rig file: take the camera from a recording; draw it.',
        {'from-bag': rig_from_bag, 'draw': rig_draw},
    ),
    'sim': (
        'Simulate drives with pictures, sound and truth; windows.',
        {
            'drives': simulate,
            'windows': simulate_windows,
            'check': simulate_check,
            'export-mavd': export_mavd,
        },
    ),
    'bag': (
        'Recordings: process, replay, convert.',
        {
            'process': process,
            'replay': replay,
            'to-dataset': bag_to_dataset,
            'from-drive': drive_to_bag,
        },
    ),
    'train': (
        'Train students and teachers; label, search, reproduce.',
        {
            'student': train,
            'any-array': train_any_array,
            'teacher': train_teacher,
            'label': label,
            'selector': train_selector,
            'convert-checkpoint': convert_checkpoint,
            'quantise': quantise,
            'curve': train_curve,
            'search': search,
            'reproduce': reproduce,
        },
    ),
    'eval': (
        'Score models and trackers; compare; check files.',
        {
            'model': evaluate,
            'bearings': bearings,
            'trackers': evaluate_trackers,
            'tracks': evaluate_tracks,
            'corners': evaluate_corners,
            'compare': compare,
            'labels': evaluate_labels,
            'check-dataset': check_dataset,
            'inspect-model': inspect_model,
        },
    ),
    'bench': (
        'Measure this machine; break the running nodes on purpose.',
        {
            'steps': steps,
            'latency': latency,
            'device': device,
            'training': training,
            'faults': faults,
            'soak': soak,
        },
    ),
}
"""Groups: one line of help, and the commands by name."""

MARKUP: dict[str, Any] = {'rich_markup_mode': 'rich'}


class Root(TyperGroup):
    """Suggests existing commands for an unknown one."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find a command; for an unknown name, suggest commands of groups too."""
        name = args[0]
        if name not in self.commands:
            found = [f'{group} {name}' for group, (_, names) in GROUPS.items() if name in names]
            if found:
                ctx.fail(f'No such command {name!r}. Did you mean {" or ".join(found)}?')
            self.commands = {
                key: command for key, command in self.commands.items() if not command.hidden
            }
        return super().resolve_command(ctx, args)


app = typer.Typer(
    name='avdet',
    cls=Root,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    **MARKUP,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit()


@app.callback()
def start(
    version: Annotated[
        bool,
        typer.Option(
            '--version', callback=_show_version, is_eager=True, help='Print the version.'
        ),
    ] = False,
) -> None:
    """Detect vehicles by sound with eight microphones. Begin with [b]avdet demo[/]."""
    set_up_logging()


def _build() -> None:
    for name, (line, function) in START.items():
        app.command(name, short_help=line, rich_help_panel='Start here')(function)
    for name, (line, functions) in GROUPS.items():
        group = typer.Typer(no_args_is_help=True, cls=former.GROUPS.get(name), **MARKUP)
        for command, function in functions.items():
            group.command(command)(function)
        panel = 'Groups of commands: avdet GROUP --help lists them'
        app.add_typer(group, name=name, help=line, rich_help_panel=panel)
        former.add_to_group(name, group)
    former.add_to(app)


_build()


def main() -> None:
    """Run the command line; a user error prints one sentence and exits with status 1."""
    keep_freed_memory()
    try:
        app()
    except AvdetError as error:
        sentence = f'[bold red]error:[/] {escape(str(error))}'
        Console(stderr=True).print(sentence, highlight=False, soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == '__main__':
    main()
