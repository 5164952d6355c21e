"""What does the planner see, and what may it answer? Values, and what verdicts make of them."""
