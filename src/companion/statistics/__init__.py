"""Mergeable streaming statistics and intervals (floor 0); import from the submodules."""
