"""Millpond's decisions: pure functions over frozen values. Standard library only, no I/O, no clock."""
