"""Records that a colleague made, taken into a study where protocol and data are the same."""
