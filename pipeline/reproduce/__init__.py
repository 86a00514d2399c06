"""The comparison of the paper's methods and of others: arms as data, shared work, one small result per arm and seed."""
