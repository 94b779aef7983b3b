"""The pass over the tokens and its statistics.

`run`: `probe`, from a model and a text to a dataset; `cost`: what a run will take.
`loop`: batch after batch; `batch`: from states to values; `state`: the accumulators.
`tokens`: numbered blocks and shards; `checkpoint`: files of a run that may be killed.
`memory`: how many blocks at once; `noise`: the rounding under a run in half precision.
"""
