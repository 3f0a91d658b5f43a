"""What runs inside the sandbox. Imports nothing of ours but itself, and the standard library.

    start -> zygote -> worker (one per lane) -> keeper (one per job) -> child (runs the code)

The zygote imports what answers use, goes into namespaces of its own and forks workers. A worker
only forks keepers and waits, and so never holds a job. The keeper reads one job, forks a child for
it, watches it from outside and writes the report. Only the child runs foreign code, behind a
system-call filter. `start` runs with a bare interpreter, and the package is then called `inside`:
hence the relative imports.
"""
