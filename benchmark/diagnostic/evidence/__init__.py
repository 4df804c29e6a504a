"""How well the diagnostic predicts: what online selection gained, against what was foretold."""
