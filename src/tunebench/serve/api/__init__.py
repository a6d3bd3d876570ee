"""Finished runs over HTTP: bodies are checked, questions wait in a bounded queue, one thread answers them."""
