"""What the budgets of the design are measured with: `make bench`, beside the peers that are installed, in one run."""
