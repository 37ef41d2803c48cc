"""Text in, numbers out: corpus and sentence scores with sacreBLEU, and how far to trust them."""
