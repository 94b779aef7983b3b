"""One function per figure: takes a result and an Axes, returns the Axes (floor 3); import from the submodules."""
