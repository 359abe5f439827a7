"""The learning curve of a training under way, to be watched: a CSV file that gains one row per loop."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from fitrec.atomic import write_csv
from fitrec.errors import StoreError


class LiveCurve:
    """Keeps a CSV file up with the rows of a learning curve.

    Parameters
    ----------
    path : Path
        The file; one of an earlier, interrupted training is replaced.
    rows : sequence of mappings
        Rows so far. Rows that an interrupted training wrote after its last checkpoint are thereby dropped: they come again.

    Raises
    ------
    StoreError
        If it cannot be written.

    """

    def __init__(self, path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
        self._path, self._begun = path, bool(rows)
        self.remove()
        if rows:
            write_csv(path, pd.DataFrame(rows))

    def append(self, row: Mapping[str, Any]) -> None:
        """Append one row, after the header if it is the first."""
        if not self._begun:
            write_csv(self._path, pd.DataFrame([row]))
        else:
            try:
                with self._path.open("a", encoding="utf-8") as file:
                    file.write(pd.DataFrame([row]).to_csv(index=False, header=False))
            except OSError as error:
                raise StoreError(f"cannot write {self._path}: {error.strerror}") from error
        self._begun = True

    def remove(self) -> None:
        """Remove the file."""
        self._path.unlink(missing_ok=True)
