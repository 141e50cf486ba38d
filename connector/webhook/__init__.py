"""The webhook ingress: verifies what Extend sends, writes a doorbell durably, answers, and does nothing else."""
