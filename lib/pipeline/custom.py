"""Custom features: what a user's `features_into` gives for a window, checked at every call.

Training and device run the same code on the same bytes of custom.py. docs/SPEC.md, "Custom
features", has the contract. Nothing here allocates; what the user's function does is its own.
"""

from formats import errors

_LOWEST = -32768
_HIGHEST = 32767


class CustomFeatures:
    """The function in a custom.py.

    Args:
        content: the bytes of custom.py; they are executed here.
        n_outputs: values that it gives for a window.

    Attributes:
        out: list of the values for the last window.

    Raises:
        OnebyteError: CUSTOM_FAILED: it does not run, or has no `features_into`.
    """

    def __init__(self, content: bytes, n_outputs: int):
        namespace = {"__name__": "custom"}
        try:
            exec(content, namespace)
        except Exception as error:  # the user's code, not ours: whatever it raises is data
            raise _failure(error) from None
        self._function: object = namespace.get("features_into")
        if not callable(self._function):
            raise errors.OnebyteError(errors.CUSTOM_FAILED, "there is no function features_into")
        self._n_outputs = n_outputs
        self.out: list = [None] * n_outputs

    def compute(self, samples) -> None:
        """Computes `out` for a window.

        Args:
            samples: array('h'), row after row; the function may change it.

        Raises:
            OnebyteError: CUSTOM_FAILED: the function raised; CUSTOM_VALUE: it left `out` with a
                value that is no int16, or with another length.
        """
        out = self.out
        for i in range(self._n_outputs):
            out[i] = None
        try:
            self._function(samples, out)  # type: ignore[operator]
        except Exception as error:
            self._start_anew()
            raise _failure(error) from None
        if len(out) != self._n_outputs:
            self._start_anew()
            raise errors.OnebyteError(
                errors.CUSTOM_VALUE, "%d outputs, not %d" % (len(out), self._n_outputs)
            )
        for i in range(self._n_outputs):
            # Not a subclass: numpy's and bool's arithmetic is another one on the device.
            if type(out[i]) is not int or not _LOWEST <= out[i] <= _HIGHEST:
                raise errors.OnebyteError(errors.CUSTOM_VALUE, _complaint(i, out[i]))

    def _start_anew(self) -> None:
        # The function may have changed the length.
        self.out = [None] * self._n_outputs


def _failure(error):
    text = "%s: %s" % (type(error).__name__, error)
    return errors.OnebyteError(errors.CUSTOM_FAILED, text.partition("\n")[0])


def _complaint(index, value):
    if value is None:
        return "out[%d] was not set" % index
    if type(value) is int:
        return "out[%d] = %d is not within -32768 to 32767" % (index, value)
    return "out[%d] is %s, not int: put int() around it" % (index, type(value).__name__)
