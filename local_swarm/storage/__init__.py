"""Small files that outlive the program: written whole or not at all, locked, versioned.

What is damaged is set aside with a warning, never deleted; what cannot be written is lost with one.
Knows nothing of what the files hold.
"""
