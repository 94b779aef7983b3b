"""The networks of a toy experiment.

`blocks`: residual blocks, one record a type; `draws`: everything random, by address;
`teachers`, `students`: many networks as one stack of tensors. `benchmarks/plain_toy.py` is the same
in plain torch, one student after another, which the fast ones must equal.
"""
