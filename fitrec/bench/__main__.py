"""``python -m fitrec.bench --device cuda --out DIR``: the tests and all benchmarks of a GPU, in one call of at most some minutes.

It needs no network, and no package for commands, configurations or stores: it runs from a source tree on a machine that has CuPy,
numba, SciPy, SymPy, PyYAML, psutil and pandas. The most important comes first.
"""

import argparse
import re
import sys
from pathlib import Path

from fitrec.atomic import write_json
from fitrec.bench.parts import LIMITS_S, run_part
from fitrec.bench.together import run_parts
from fitrec.errors import FitrecError


def main() -> int:
    """Run the parts, or one of them in this process; 0 if all went well, 1 if some did not, 2 if there is no such device."""
    parser = argparse.ArgumentParser(prog="python -m fitrec.bench", description="Tests and benchmarks of a device, in one call.")
    parser.add_argument("--device", type=_device, default="cuda:0", help="cuda, cuda:<number> or cpu (default: cuda)")
    parser.add_argument("--out", type=Path, default=Path("results/device"), help="folder for figures.json and log.txt")
    parser.add_argument("--minutes", type=float, default=9.0, help="for everything (default: 9)")
    parser.add_argument("--only", type=lambda text: text.split(","), help=f"some of {','.join(LIMITS_S)}")
    parser.add_argument("--small", action="store_true", help="small networks, to see that everything runs")
    parser.add_argument("--part", choices=LIMITS_S, help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if unknown := set(given.only or ()) - set(LIMITS_S):
        parser.error(f"--only names {', '.join(sorted(unknown))}, but may name {', '.join(LIMITS_S)}")
    try:
        if given.part:
            figures = run_part(given.part, given.device, given.out, small=given.small)
            write_json(given.json, figures)
            return 0
        if given.device != "cpu":
            from fitrec.kernels.cuda.device import find_gpu

            find_gpu(int(given.device.removeprefix("cuda:")))
    except FitrecError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2

    def command(name: str, result: Path) -> list[str]:
        options = ["--device", given.device, "--out", str(given.out), "--json", str(result)] + ["--small"] * given.small
        return [sys.executable, "-m", "fitrec.bench", "--part", name, *options]

    limits = {name: limit for name, limit in LIMITS_S.items() if name in (given.only or LIMITS_S)}
    done = run_parts(limits, command, given.out, given.minutes)
    return 0 if all(part["status"] == "ok" for part in done.values()) else 1


def _device(text: str) -> str:
    if not re.fullmatch(r"cpu|cuda(:\d+)?", text):
        raise argparse.ArgumentTypeError(f"'{text}' is neither cpu nor cuda nor cuda:<number>")
    return "cuda:0" if text == "cuda" else text


if __name__ == "__main__":
    raise SystemExit(main())
