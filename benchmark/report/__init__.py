"""Tables and figures of a study, regenerated from its records alone."""
