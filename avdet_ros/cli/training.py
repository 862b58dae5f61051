"""Helper of the commands that train."""

from __future__ import annotations


def need_training() -> None:
    """Check that the training requirements are installed.

    Raises:
        AvdetError: a requirement is missing.
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
