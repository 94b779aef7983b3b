"""Can a reading tell the regimes apart? Trained students whose regime is known, read by every tool.

Floor 3, for it uses three instruments at once (toy, probing, interventions) and judges nothing.
`design`: what is trained; `training`: weights by one command; `students`: a trained student in the
form that `probing` and `interventions` read; `measure`: all statistics of all students;
`averaging`: errors of students of one teacher; `shapes`: depth against width of a block.
"""
