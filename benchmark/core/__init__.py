"""What everything else stands on: errors, configuration files, atomic files, randomness.

Imports nothing of the project.
"""
