"""Pure drawing: data and a size in, strips out."""
