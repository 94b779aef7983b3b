"""How the students of a toy experiment are trained.

`engine`: one step of all students, side by side; `graphs`: the same as one CUDA graph;
`checkpoint`: the whole state in one file, to go on from to the bit.
"""
