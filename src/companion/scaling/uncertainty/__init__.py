"""How sure is a parameter? Each module adds standard errors and intervals to a `FitResult`.

`sandwich` (unequal and clustered errors), `profile` (likelihood, others refitted),
`resampling` (bootstrap by row or shape, jackknife), `methods` (all under one name each),
`coverage` (planted truths: which intervals keep their promise).
"""
