"""What tasks, engine and report share to judge answers: metrics, their intervals, entities, ROUGE. No torch."""
