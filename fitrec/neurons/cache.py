"""Generated modules as files, so that numba keeps their machine code from run to run."""

import hashlib
import importlib.util
import sys
from types import ModuleType

from fitrec.kernels.cache import cache_folder, write_whole
from fitrec.kernels.cpu.sources import digest


def load_module(text: str) -> ModuleType:
    """Import a generated module from its file, which is written if it is not there yet.

    Its name changes with the kernels too, because numba builds them into it.
    """
    name = "fitrec_model_" + hashlib.sha256(digest().encode() + text.encode()).hexdigest()[:24]
    if name in sys.modules:
        return sys.modules[name]
    path = cache_folder("models") / f"{name}.py"
    if not path.is_file() or path.read_text() != text:
        write_whole(path, text.encode())
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
