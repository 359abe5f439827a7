"""Generated modules as files, so that numba keeps their machine code from run to run."""

import hashlib
import importlib.util
import os
import sys
import tempfile
from functools import cache
from pathlib import Path
from types import ModuleType

from fitrec.kernels.cpu.sources import digest


def cache_folder() -> Path:
    """Return the folder of generated code: in ``FITREC_CACHE``, ``XDG_CACHE_HOME`` or ``~/.cache``, else a temporary one."""
    for variable, below in (("FITREC_CACHE", "models"), ("XDG_CACHE_HOME", "fitrec/models"), ("HOME", ".cache/fitrec/models")):
        if os.environ.get(variable):
            folder = Path(os.environ[variable]) / below
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError:
                continue
            if os.access(folder, os.W_OK):
                return folder
    return _temporary()


@cache
def _temporary() -> Path:
    return Path(tempfile.mkdtemp(prefix="fitrec-models-"))


def load_module(text: str) -> ModuleType:
    """Import a generated module from its file, which is written if it is not there yet.

    Its name changes with the kernels too, because numba builds them into it.
    """
    name = "fitrec_model_" + hashlib.sha256(digest().encode() + text.encode()).hexdigest()[:24]
    if name in sys.modules:
        return sys.modules[name]
    path = cache_folder() / f"{name}.py"
    if not path.is_file() or path.read_text() != text:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{name}")
        with os.fdopen(handle, "w") as file:
            file.write(text)
        os.replace(temporary, path)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
