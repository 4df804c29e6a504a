"""Running studies on SLURM clusters; knows studies and runs, and no method."""
