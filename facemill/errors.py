"""The one exception for mistakes of the user's: shown as one line, never as a traceback."""


class BadInput(Exception):
    """A file, key or value that cannot be used; the message names it, what was found and what is accepted."""
