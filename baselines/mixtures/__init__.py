"""Methods that choose how much to train on each domain of the generic corpus."""
