"""The paper's language-model comparison, regenerated from its published training curves."""
