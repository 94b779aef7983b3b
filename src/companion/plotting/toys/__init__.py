"""Figures of toy students.

`toy`: losses and exponents; `students`: their trajectories and variants; `calibration`: what each
statistic is worth; `core`: shared errors, traded shapes, and the same in language models.
"""
