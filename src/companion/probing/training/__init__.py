"""The same probe over the checkpoints of a training.

`track`: every revision of every model on one text, in one dataset.
`revisions`: whether the checkpoints are what their names say.
`exponents`: how rotation depends on depth at each step.
"""
