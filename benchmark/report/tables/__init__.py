"""Tables as blocks of text, and how they are set: terminal, Markdown, HTML, LaTeX, CSV."""
