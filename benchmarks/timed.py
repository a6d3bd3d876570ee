"""What both of Trainer's scripts measure beside its training."""

import time
from typing import Any


class TimedSaving:
    """Mixed into a Trainer: it knows how long it saved checkpoints and loaded the best one."""

    saving_seconds = 0.0

    def _save_checkpoint(self, *inputs: Any, **options: Any) -> None:
        start = time.perf_counter()
        super()._save_checkpoint(*inputs, **options)  # type: ignore[misc]
        self.saving_seconds += time.perf_counter() - start

    def _load_best_model(self) -> None:
        start = time.perf_counter()
        super()._load_best_model()  # type: ignore[misc]
        self.saving_seconds += time.perf_counter() - start
