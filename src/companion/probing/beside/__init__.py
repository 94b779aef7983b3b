"""What a probe is set beside: an untrained twin, and the same probe over other documents.

`twins`: models and the same networks with random weights, live or stored. `resampling`: any
function of layer means with its interval over documents; shares of the loss by layer.
"""
