"""Methods that choose rows while the main model trains, of the bigger batch of each step."""
