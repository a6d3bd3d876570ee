"""`tunebench watch`: a local page on studies that run or have ended, and the playground of their finished runs.

Data flow: a study's folder -> `tail.py` (new lines of `progress.jsonl`) -> `work.py` (what the lines say of runs at
work) -> `study.py` (with the plan and the results) -> `parts.py` (what a page shows, as JSON) -> `app.py` (server-sent
events to any number of pages). The report's cards and pages are made in a process of their own (`reporting.py`).

Nothing here is needed by a study: the folder is all that both sides share, so that a study may be made by any executor,
be killed, or not have begun.
"""
