"""Methods that choose rows of the generic corpus once, before training."""
