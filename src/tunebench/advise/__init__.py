"""What is worth making next, and what to conclude: searches over a study's settings."""
