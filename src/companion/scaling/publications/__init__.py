"""What others published, and the same done here.

`numbers` (their parameters, rows, laws and losses), `adam` (the published optimiser),
`refits` (our fits of the same rows, made here or read from the store), `stand_in` (the rows a
chapter fits where a published table cannot be had).
"""
