"""The composition root: builds every room, joins them, and supervises their tasks.

`python -m meshgate.app` is the control plane of one state directory; `meshgate up` starts
it under a guard that brings it back. `control_plane.py` is where the rooms meet. Nothing
imports this room.
"""
