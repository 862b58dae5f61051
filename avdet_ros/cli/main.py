"""The `avdet` command. Each sub-command is one function in a module of its own beside this one.

Those modules import only typer, rich and the standard library at the top, so that
``avdet --help`` answers at once; what they work with is imported inside the function.
"""

from __future__ import annotations

import sys

from rich.console import Console
from rich.markup import escape
import typer

from avdet_ros.cli.bag_to_dataset import bag_to_dataset
from avdet_ros.cli.bench import bench
from avdet_ros.cli.calibrate import calibrate
from avdet_ros.cli.check_dataset import check_dataset
from avdet_ros.cli.compare import compare
from avdet_ros.cli.console import set_up_logging
from avdet_ros.cli.demo import demo
from avdet_ros.cli.devices import devices
from avdet_ros.cli.drive_to_bag import drive_to_bag
from avdet_ros.cli.evaluate import evaluate
from avdet_ros.cli.evaluate_trackers import evaluate_trackers
from avdet_ros.cli.faults import faults
from avdet_ros.cli.inspect_model import inspect_model
from avdet_ros.cli.label import label
from avdet_ros.cli.process import process
from avdet_ros.cli.replay import replay
from avdet_ros.cli.reproduce import reproduce
from avdet_ros.cli.run import run
from avdet_ros.cli.search import search
from avdet_ros.cli.simulate import simulate
from avdet_ros.cli.simulate_check import simulate_check
from avdet_ros.cli.simulate_windows import simulate_windows
from avdet_ros.cli.soak import soak
from avdet_ros.cli.train import train
from avdet_ros.cli.train_teacher import train_teacher
from avdet_ros.cli.view import view
from avdet_ros.errors import AvdetError
from avdet_ros.process import keep_freed_memory

app = typer.Typer(
    name='avdet',
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode='rich',
)


@app.callback()
def start() -> None:
    """Hear vehicles with eight microphones: run, look, measure, train."""
    set_up_logging()


app.command()(bag_to_dataset)
benches = typer.Typer(invoke_without_command=True, rich_markup_mode='rich')
benches.callback()(bench)
benches.command()(faults)
benches.command()(soak)
app.add_typer(benches, name='bench')
app.command()(calibrate)
app.command()(check_dataset)
app.command()(compare)
app.command()(demo)
app.command()(devices)
app.command()(drive_to_bag)
app.command()(evaluate)
app.command()(evaluate_trackers)
app.command()(inspect_model)
app.command()(label)
app.command()(process)
app.command()(replay)
app.command()(reproduce)
app.command()(run)
app.command()(search)
app.command()(simulate)
app.command()(simulate_check)
app.command()(simulate_windows)
app.command()(train)
app.command()(train_teacher)
app.command()(view)


def main() -> None:
    """Run the command line; user errors become one sentence and exit status 1."""
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
