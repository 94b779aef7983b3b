"""What probes of models say, one module a chapter.

`probing`: the loss by layer; `geometry`: rotations and their exponents; `depth_report`: one probe
read in sentences; `training_dynamics`: a training that was tracked. `real_model`: a pretrained
model beside the ladder; `scope`: what a verdict on probes holds for.
"""
