"""The command line: commands (one file each), what they share, the catalogue of `list` and `show`, and progress."""
