"""From a model file to what judges by it: proven, with the meta message that goes with it."""

from app import loader, power, sensing, status
from formats import errors, result


class ModelPath:
    """Makes the `Sensing` of a node, and another one when another model comes.

    Args:
        config: Config.
        board: see `boards/unix/board.py`.
        mode: of `app.power`.

    Attributes:
        error: OnebyteError that refused the model, or None.
        meta: meta message.
        crc: the last four bytes of the file, which tell one model from another.
    """

    def __init__(self, config, board, mode: int):
        self._config = config
        self._board = board
        self._mode = mode
        self.error: errors.OnebyteError | None = None
        self.meta = b""
        self.crc = 0

    def make(self, content):
        """Returns a Sensing, or the Refused that stands in where the model is not valid."""
        self.crc = _crc_of(content)
        info = None
        try:
            info = loader.parse(content, self._board.kernels)
            kernel_model = self._prove(info, content)
        except errors.OnebyteError as error:
            self.error = error
        self.meta = status.pack_meta(content, info) if info else status.pack_refused_meta()
        source = self._board.source
        if self.error is None:
            return sensing.Sensing(self._config, source, info, kernel_model)
        return sensing.Refused(self._config, source, info.encoding if info else result.A)

    def remake(self, content, before):
        """Returns a Sensing for another model; it counts on from the one before.

        Raises:
            OnebyteError: the model is refused, and nothing has changed.
        """
        info = loader.parse(content, self._board.kernels)
        kernel_model = self._prove(info, content)
        after = sensing.Sensing(self._config, self._board.source, info, kernel_model)
        after.count_on(before)
        self.error = None
        self.crc = _crc_of(content)
        self.meta = status.pack_meta(content, info)
        return after

    def _prove(self, info, content):
        self._check_budget(info)
        return loader.prove(info, content, self._board, self._config)

    def _check_budget(self, info) -> None:
        """Raises SAMPLES where no window would ever be complete."""
        window_ms = info.window * 1000000 // info.rate_mhz
        budget_ms = self._config.awake_budget_ms
        if self._mode in (power.CYCLE_LIGHT, power.CYCLE_DEEP) and window_ms >= budget_ms:
            detail = "a window takes %d ms, awake_budget_ms is %d" % (window_ms, budget_ms)
            raise errors.OnebyteError(errors.SAMPLES, detail)


def _crc_of(content) -> int:
    return int.from_bytes(content[-4:], "little")
