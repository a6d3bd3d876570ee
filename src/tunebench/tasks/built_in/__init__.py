"""Built-in tasks, one file each; the folder is the registry."""
