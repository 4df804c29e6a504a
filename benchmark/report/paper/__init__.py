"""The paper's comparison, regenerated from its published curves."""
