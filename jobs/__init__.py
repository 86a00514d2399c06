"""Each job is a command, `python -m jobs.NAME`: a list of the method's steps over one run folder."""
