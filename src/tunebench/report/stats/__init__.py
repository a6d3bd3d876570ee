"""What the figures show beyond chance, and what to doubt."""
