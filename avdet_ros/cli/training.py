"""What the commands that train have in common."""

from __future__ import annotations

from collections.abc import Callable
import logging

_logger = logging.getLogger(__name__)


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
    """Whether to draw progress bars, and how to say a line; under torchrun the first process's.

    For functions that still take both: new ones log and take a `Progress`.
    """
    from avdet_ros.cli.console import progress_bars

    return progress_bars(progress).visible, _logger.info
