"""How open runs are followed: which request comes next, and what the answers say."""
