"""Checks of the files a recording names."""

from collections.abc import Iterator

from fitrec.checks.context import Context
from fitrec.checks.registry import register
from fitrec.config.fits import truth_path
from fitrec.errors import FitrecError


@register("CRITICAL")
def file_exists(context: Context) -> Iterator[str]:
    """The data set and every file of the recording are there."""
    if context.files is None and context.files_error:
        yield context.files_error


@register("CRITICAL")
def truth_exists(context: Context) -> Iterator[str]:
    """The true rates of a simulated recording are there, if it names some."""
    path = truth_path(context.source) if context.files is not None else None
    if path is not None and not (path / "zarr.json").is_file():
        yield f"the truth {path} is not a store that 'fitrec simulate --truth' wrote; write it, or leave the key 'truth' out"


@register("CRITICAL")
def dataset_intact(context: Context) -> Iterator[str]:
    """The files of a data set have the sizes and SHA-256 of its manifest."""
    if context.source.dataset is None or context.files is None:
        return
    from fitrec.datasets import verify

    try:
        verify(context.source.dataset)
    except FitrecError as error:
        yield str(error).rstrip(".")
