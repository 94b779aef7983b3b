"""One fit beside another.

`criteria` (laws on the same rows: AIC, BIC, nested tests, held-out shapes), `cuts` (one exponent
while rows are taken out), `evaluation` (everything about one table; several tables beside each
other), `effective` (the exponent of models that differ in depth alone).
"""
