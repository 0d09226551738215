"""The plan of a recording to flash: while `rec/plan` is there, a start of the board records."""

from formats import errors, flatjson

FOLDER = "rec"
PLAN = FOLDER + "/plan"
_MAX_PLAN_BYTES = 2048


def exists(files) -> bool:
    """Returns whether there is a plan."""
    try:
        files.open(PLAN, "rb").close()
    except OSError:
        return False
    return True


def make_folder(files, path: str) -> None:
    """Makes a folder that may be there."""
    try:
        files.mkdir(path)
    except OSError as error:
        if error.errno != 17:  # EEXIST
            raise


def write(files, plan: bytes) -> None:
    """Keeps how to record; from now on a start of the board records."""
    make_folder(files, FOLDER)
    path = PLAN
    file = files.open(path + ".new", "wb")
    try:
        file.write(plan)
    finally:
        file.close()
    files.rename(path + ".new", path)


def read(files) -> dict:
    """Returns how to record; empty when there is no plan, or none that can be read."""
    try:
        file = files.open(PLAN, "rb")
    except OSError:
        return {}
    try:
        return flatjson.parse(file.read(_MAX_PLAN_BYTES + 1), _MAX_PLAN_BYTES)
    except (OSError, errors.OnebyteError):
        return {}
    finally:
        file.close()


def remove(files) -> None:
    """The next start is the node's again."""
    try:
        files.remove(PLAN)
    except OSError as error:
        if error.errno != 2:  # ENOENT
            raise
