"""Everything about a study as one HTML file."""
