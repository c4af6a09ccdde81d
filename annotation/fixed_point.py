"""Anderson's acceleration: leap to where the last steps say that a fixed point lies."""

import numpy as np

from annotation.answer_table import FloatArray


class Accelerator:
    """Remembers the last points and steps of an iteration over two arrays.

    Source:
        Anderson (1965); Walker & Ni (2011), type II, by least squares on step differences.
    """

    def __init__(self, *, memory: int) -> None:
        self._memory = memory
        self._points: list[FloatArray] = []
        self._steps: list[FloatArray] = []

    def leap(
        self,
        first: FloatArray,
        second: FloatArray,
        first_step: FloatArray,
        second_step: FloatArray,
        *,
        restart: bool = False,
    ) -> tuple[FloatArray, FloatArray]:
        """Return the next point; with *restart* half a plain step, and nothing remembered."""
        point = np.concatenate([first, second.ravel()])
        step = np.concatenate([first_step, second_step.ravel()])
        if restart:
            self._points, self._steps = [], []
            return self._split(point + 0.7 * step, first, second)
        self._points = [*self._points[-self._memory :], point]
        self._steps = [*self._steps[-self._memory :], step]
        moved = np.diff(np.array(self._points), axis=0)
        turned = np.diff(np.array(self._steps), axis=0)
        if len(turned):
            part, *_ = np.linalg.lstsq(turned.T, step, rcond=1e-8)
            step = step - (moved + turned).T @ part
        return self._split(point + step, first, second)

    def retreat(self, first: FloatArray, second: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return half the plain step from the given point, and forget the rest."""
        point = np.concatenate([first, second.ravel()])
        step = self._steps[-1]
        self._points, self._steps = [], []
        return self._split(point + 0.5 * step, first, second)

    @staticmethod
    def _split(
        point: FloatArray, first: FloatArray, second: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        return point[: len(first)], point[len(first) :].reshape(second.shape)
