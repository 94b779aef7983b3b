"""Train small causal language models on a grid of (m, ell, D)."""
