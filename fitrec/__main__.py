"""Runs the command line as ``python -m fitrec``."""

from fitrec.cli import main

main()
