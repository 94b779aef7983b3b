"""Laws, and one fit of one law.

`laws` (a law is data), `design` (a law on given rows: predictions, Jacobian, curvature),
`checks` (can these rows identify it? outliers), `starts` and `solver` (batched
Levenberg-Marquardt), `huber` (how residuals count), `certificate` (evidence of the optimum),
`result` (`FitSummary`, `FitResult`), `curvature` (Jacobian standard errors), `fit` (all of it).
"""
