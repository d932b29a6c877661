"""`python -m cortex`: the command line, for where the `cortex` program is not on the path."""

from cortex.cli import main

main()
