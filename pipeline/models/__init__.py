"""The networks of CouinaudNet, their input, and their files. Everything here needs torch."""
