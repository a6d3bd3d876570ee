"""The playground: a text of one's own, and the answer of each finished technique beside the others.

A page that holds it includes `templates/playground.html` and its script, and mounts `routes.routes` at `/playground`.
Who mounts it says which runs there are; it knows no study and no server.
"""
