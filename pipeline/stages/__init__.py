"""The only Ray code of the package: thin stages that unpack a batch, call one pure function and pack the result."""
