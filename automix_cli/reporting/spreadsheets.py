"""Text in CSV files, which people open in programs that compute."""


def no_formula(text: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.lstrip().startswith(("=", "+", "-", "@")) else text
