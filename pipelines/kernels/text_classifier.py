"""The probability of a label that a fastText classifier gives to texts."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipelines.contracts import storage
from pipelines.contracts.errors import ConfigError, did_you_mean, message
from pipelines.kernels.classifier_text import one_line


class TextClassifier:
    """A loaded classifier; make one per process and keep it.

    Args:
        path: model file (`.bin`, `.ftz`), local or not.

    Raises:
        ConfigError: if there is no such file, it is no classifier, or fastText is not installed.
    """

    def __init__(self, path: str) -> None:
        try:
            import fasttext
        except ModuleNotFoundError as error:
            raise ConfigError(
                message(path, "fastText is not installed", error.name, "an installation with [classifier]")
            ) from error
        if not storage.exists(path):
            raise ConfigError(message(path, "no such file", "nothing", "a fastText model"))
        with tempfile.TemporaryDirectory() as folder:
            local = Path(folder) / "model"
            local.write_bytes(storage.read_bytes(path))
            try:
                self._model = fasttext.load_model(str(local)).f
            except (ValueError, RuntimeError) as error:
                raise ConfigError(message(path, "not a fastText model", error, "a .bin or .ftz file")) from error
        self._path = path
        self.labels: tuple[str, ...] = tuple(self._model.getLabels("strict")[0])

    def check_label(self, label: str) -> None:
        """Refuse a label that the model does not know.

        Raises:
            ConfigError: naming the nearest label.
        """
        if label not in self.labels:
            expected = "a label of the model"
            raise ConfigError(message(self._path, "unknown label", label, expected, did_you_mean(label, self.labels)))

    def probability(self, text: pa.Array, label: str) -> np.ndarray:
        """Return the probability of a label for every text.

        fastText adds 1e-5 to probabilities before it takes their logarithm; what exceeds 1 thereby is 1 here.

        Args:
            text: `[rows]` strings without nulls.
            label: with its prefix.

        Returns:
            float64 `[rows]`; NaN where the model knows nothing of a text.
        """
        found = np.full(len(text), np.nan)
        for row, line in enumerate(one_line(text).to_pylist()):
            for probability, name in self._model.predict(line + "\n", len(self.labels), -1.0, "strict"):
                if name == label:
                    found[row] = min(probability, 1.0)
        return found
