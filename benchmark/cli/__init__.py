"""The command ``adaptbench``: a file for each group of commands, loaded when it is called.

Imports everything; nothing imports it.
"""
