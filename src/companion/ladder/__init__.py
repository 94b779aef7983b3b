"""Train small causal language models on a grid of (m, ell, D).

`grid`: what is trained, from YAML; `text`: tokenizer and tokens; `model`, `trainer`: one network
and its steps; `graphs`: the same steps replayed on a GPU; `run`: one training in its folder;
`runner`: all of them, to a table; `export`: from a finished grid to what the package carries;
`embedded`: read that again; `analysis`: what the tables say, in numbers.
"""
