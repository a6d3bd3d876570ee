"""What a finished run is for: its model, its answers, an ordinary transformers folder, its attention."""
