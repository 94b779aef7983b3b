"""How a language model uses its depth: all per-layer statistics in one pass (floor 2)."""

from companion.probing.certificate import CertificateError, certify
from companion.probing.dataset import merge, open, save
from companion.probing.run import probe, summarise

__all__ = ["CertificateError", "certify", "merge", "open", "probe", "save", "summarise"]
