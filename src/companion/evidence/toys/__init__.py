"""What students of known teachers say: `toy` claims and sentences, `tables` what a page shows."""
