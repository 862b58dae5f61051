"""What the commands that train have in common."""

from __future__ import annotations

from collections.abc import Callable


def need_training() -> None:
    """See that the training requirements are installed.

    Raises:
        AvdetError: one of them is missing.
    """
    from avdet_ros.errors import AvdetError

    try:
        import effdet  # noqa: F401
        import lightning  # noqa: F401
        import torchvision  # noqa: F401
    except ModuleNotFoundError as error:
        raise AvdetError(
            f'training: expected the package {error.name}, found none; install the training '
            "requirements: pip install -e '.[train]'"
        ) from error


def voice(progress: bool) -> tuple[bool, Callable[[str], None]]:
    """Whether to draw progress bars, and how to say a line; under torchrun the first process's."""
    from rich.console import Console

    from avdet_ros.training.fitting.distributed import one_voice

    console = Console()

    def say(line: str) -> None:
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    return one_voice(progress, say)
