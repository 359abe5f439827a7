"""The command line: parse, call a stage, print.

Only click is imported here. Everything heavy is imported inside the commands, so that ``fitrec --help`` answers at once.
"""

import os
import sys
from typing import NoReturn

# The linear algebra libraries change the order of a sum with their number of threads, hence its last bits; they read these
# variables when numpy is first imported. fitrec's own threads, which leave every bit alone, follow --threads.
for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"


def main() -> NoReturn:
    """Run the command line and leave with its exit status: 0, 2 for a mistake the user can mend, 1 for one of ours."""
    from fitrec.cli.failures import exit_status
    from fitrec.cli.group import cli

    sys.exit(exit_status(lambda: cli.main(prog_name="fitrec", standalone_mode=False)))
