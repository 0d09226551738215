"""What the user can put right."""

__all__ = ["UserError"]


class UserError(Exception):
    """Something outside the program is wrong: a missing tool, a bad file, no network.

    The message is one line that says what is wrong and, where that is known, what to do. The
    command line prints it and exits with status 2; every other exception is a bug and keeps its
    traceback.
    """
