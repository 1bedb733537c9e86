"""A document of sections, tables and figures, as one HTML file or as Markdown with its figures."""
