"""Students whose regime is known, on which every reading is tried before it is believed.

`design`: what is trained; `training`: weights by one command; `students`: a trained student in the
form in which language models are read; `averaging`: errors that students of one teacher share;
`shapes`: depth traded for hidden units.
"""
