"""Figures of probes, one module a chapter.

`probing`: loss, norms and densities by layer; `geometry`: angles, correlations, rotation against
depth; `dynamics`: the same against training step; `report`: one page about one model.
"""
