"""What a study's files say, by comparison, row and cost."""
