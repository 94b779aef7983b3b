"""What each layer would predict, and the proof that a model's parts are what they are taken for.

`readout`: last-block lens and logit lens, reduced chunk by chunk.
`last_block`: the last block replayed on earlier states, at the positions that are read.
`certificate`: checks of a model's parts against its own forward pass.
`share`: how many tokens the lenses may read for the price of the forward pass.
"""
