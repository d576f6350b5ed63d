"""What publishers say beside their archives: looked for, compared, verified, and carried along."""
