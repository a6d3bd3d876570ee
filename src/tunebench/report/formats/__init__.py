"""What a report becomes: HTML, Markdown, LaTeX, CSV, JSON, a data frame."""
