"""Where a causal language model comes from.

`load` finds a model by name and opens it; `weights` reads safetensors, spread if asked;
`registry` lists the open models that the package index holds, `fetching` brings one here;
`gguf` checks a GGUF file and dequantises it, once.
"""
