"""What `export` and `import-openmixup` are made of."""
