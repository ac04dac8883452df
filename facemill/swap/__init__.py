"""Stage swap: two people's faces exchanged in films and photos."""
