"""Reading an archive of cases: what is there, whether it can be trusted, and what is set aside."""
