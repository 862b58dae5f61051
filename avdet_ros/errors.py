"""The one exception that users are meant to read."""


class AvdetError(Exception):
    """Something outside the program is wrong and the user can mend it.

    The message is one sentence: what, where, what was expected, what was found. Commands print
    it and exit with status 1; nodes log it and report it in their diagnostics. Anything else
    that escapes is a bug and keeps its traceback.
    """
