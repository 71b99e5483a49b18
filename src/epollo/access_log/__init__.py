"""The access log for programs: a line for each request, written in batches.

`formats` makes lines, `destination` is where they go, `batches` joins both to the loop, and `choice`
is what the settings ask for.
"""
