"""What a method sees, and the one door to it.

Imports the layers below (`core`, `data`, `models`, `study`).
"""
