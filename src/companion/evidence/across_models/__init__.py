"""Do real models look like the ladder? Numbers of several models side by side, and what they say.

`row`: one model as a row of numbers. `comparison`: the ladder, real models and untrained twins.
`claims`: the paper's statements about pretrained models, judged. `report`: tables and sentences.
`regimes`: the calibrated reading of every model.
"""
