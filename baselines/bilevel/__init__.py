"""Online bilevel selectors: weight networks trained while the main model trains."""
