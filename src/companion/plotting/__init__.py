"""One function per figure: takes a result and an Axes, returns the Axes (floor 4).

Import from the submodules, e.g. ``from companion.plotting import theme``.
"""
