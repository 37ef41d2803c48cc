"""Who is to blame for a wrong translation, the search or the model."""
