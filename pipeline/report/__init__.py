"""The report for people: one HTML file that needs nothing else, with the run's figures, pictures and rejects."""
