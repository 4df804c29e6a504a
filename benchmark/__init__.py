"""adaptbench: one protocol for comparing ways of adapting a model to a target domain."""

__version__ = "0.1.0"
