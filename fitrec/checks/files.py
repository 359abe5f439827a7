"""Checks of the files a recording names."""

from collections.abc import Iterator

from fitrec.checks.context import Context
from fitrec.checks.registry import register
from fitrec.config.fits import source_files
from fitrec.errors import FitrecError


@register("CRITICAL", quick=True)
def file_exists(context: Context) -> Iterator[str]:
    """The data set and every file of the recording are there."""
    try:
        files = source_files(context.source)
    except FitrecError as error:
        yield str(error).rstrip(".")
        return
    for path in files:
        if not path.is_file():
            found = "is a folder, not a file" if path.is_dir() else "does not exist"
            yield f"{path} {found}; paths are relative to the configuration file"
