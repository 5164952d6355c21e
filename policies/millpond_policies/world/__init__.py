"""What does the planner see, and what may it answer? Values only."""
