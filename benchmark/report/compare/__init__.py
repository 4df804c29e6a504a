"""Answers to one question about a study: is A better than B, who finds the rows of a domain."""
