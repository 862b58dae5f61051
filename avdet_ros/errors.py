"""The only exception whose message is meant for users."""


class AvdetError(Exception):
    """Something outside the program is wrong, and the user can fix it.

    The message is one sentence: what, where, what was expected, what was found. Commands print
    it and exit with status 1; nodes log it and report it in their diagnostics. Any other uncaught
    exception is a bug and keeps its traceback.
    """
