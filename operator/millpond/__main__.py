"""`python -m millpond`: the same as the `millpond` command."""

from millpond.cli.main import main

main(prog_name="millpond")
