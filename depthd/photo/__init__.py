"""From a photo's bytes to results' bytes: decode, transform, render. No folder is known here."""
