"""Methods by name: registered, installed or in a file; and a new one to start from.

The one upward look of the project: methods are imported here by name, when they are asked for.
Imports `benchmark.study` and the layers below; of `benchmark.api` only once a method is wanted,
since that imports torch.
"""
