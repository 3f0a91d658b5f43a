"""Small files that outlive the program: written whole or not at all, locked, versioned.

What is damaged is set aside with a warning, never deleted; what cannot be written is lost with one.
Knows nothing of what the files hold.
"""

from local_swarm.storage.document import Document
from local_swarm.storage.envelope import Damaged, Newer, decode, encode
from local_swarm.storage.files import make_directory, replace_file, sweep
from local_swarm.storage.scratch import left_behind, remove_left_behind, run_directory

__all__ = [
    "Damaged",
    "Document",
    "Newer",
    "decode",
    "encode",
    "left_behind",
    "make_directory",
    "remove_left_behind",
    "replace_file",
    "run_directory",
    "sweep",
]
