"""What disturbed models say: `interventions` on blocks, `tracing` of facts."""
