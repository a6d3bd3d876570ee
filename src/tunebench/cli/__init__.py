"""The commands, the catalogue behind `list` and `show`, and the display of progress."""
