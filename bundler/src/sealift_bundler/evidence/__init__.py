"""What is said about the archives of a bundle: provenance, SBOM, licences, publishers' evidence."""
