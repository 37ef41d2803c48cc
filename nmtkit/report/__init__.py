"""Reports: tables for people, JSON and TSV for programs."""
