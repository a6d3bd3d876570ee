"""What every room stands on: documents, drawing, errors, files, the registry.

Nothing here knows of models or tasks, and nothing here imports from another room.
"""
