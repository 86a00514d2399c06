"""Reading of liver CT reports: which Couinaud segments hold a tumor, by rules and without a network."""
