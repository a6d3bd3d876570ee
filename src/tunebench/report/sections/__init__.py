"""What a report shows: a file each."""
