"""From depth to files: heatmap, preview, arrays. Knows no decoder and no network."""
